/**
 * The demo image: a disk of some 20 MiB that boots by BIOS, takes its name from the seed, tells the
 * serial console what it is and powers off by ACPI. For trying Berth and for tests; what runs in it
 * is resources/guest.
 *
 *   disk = FAT without partitions: syslinux, vmlinuz, initrd (busybox, modules, resources/guest)
 */
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { fetchDemoParts, type DemoParts } from './demo-packages.js';
import type { ImageStore, StoredImage } from './image-store.js';
import { runProgram } from './run-program.js';

export const DEMO_IMAGE = 'demo';

/** The same depth below the package whether this runs from src or from dist. */
const GUEST_FILES = fileURLToPath(new URL('../../../resources/guest', import.meta.url));

/** In the order in which a kernel takes them. What another kernel has built in is left out. */
const MODULES: readonly string[] = [
  ...['virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci'],
  ...['virtio_blk', 'failover', 'net_failover', 'virtio_net', 'evdev', 'button', 'cdrom', 'isofs'],
];

const DISK_MIB = 24;
const SECTORS_PER_MIB = 2_048;

const BOOT = `SERIAL 0 115200
DEFAULT demo
LABEL demo
  KERNEL vmlinuz
  INITRD initrd
  APPEND console=ttyS0 quiet panic=-1
`;

/** Builds the image into a file, which appears when it is whole; the format is raw. */
export async function buildDemoImage(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const directory = await mkdtemp(`${path}.making-`);
  try {
    const parts = await fetchDemoParts(directory);
    const initrd = join(directory, 'initrd');
    await writeFile(initrd, await initrdOf(parts, join(directory, 'guest')));
    const disk = join(directory, 'disk');
    await makeDisk(disk, parts, initrd, join(directory, 'syslinux.cfg'));
    await rename(disk, path);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * Adds the demo image to a host that does not have it.
 * @param directory where it may be made
 */
export async function ensureDemoImage(
  images: Pick<ImageStore, 'find' | 'add' | 'whileMade'>,
  directory: string,
): Promise<StoredImage> {
  const present = images.find(DEMO_IMAGE);
  if (present !== null) return present;
  const path = join(directory, 'demo.img');
  return images.whileMade(DEMO_IMAGE, async () => {
    try {
      await buildDemoImage(path);
      const { size: bytes } = await stat(path);
      return await images.add(DEMO_IMAGE, { format: 'raw', bytes, body: createReadStream(path) });
    } finally {
      await rm(path, { force: true });
    }
  });
}

/** The guest's first file system, packed as kernels read it. */
async function initrdOf({ busybox, modules }: DemoParts, root: string): Promise<Buffer> {
  await mkdir(join(root, 'bin'), { recursive: true });
  await mkdir(join(root, 'lib/modules'), { recursive: true });
  await copyFile(busybox, join(root, 'bin/busybox'));
  for (const name of ['init', 'lease']) {
    await runProgram('install', ['-m', '755', join(GUEST_FILES, name), join(root, name)]);
  }
  const order: string[] = [];
  const files = await readdir(modules, { recursive: true });
  for (const name of MODULES) {
    const file = files.find((one) => new RegExp(`/${name}\\.ko(\\.xz)?$`).test(`/${one}`));
    if (file === undefined) continue;
    order.push(name);
    const to = join(root, 'lib/modules', `${name}.ko`);
    if (!file.endsWith('.xz')) await copyFile(join(modules, file), to);
    else {
      const { stdout } = await runProgram(busybox, ['xz', '-dc', join(modules, file)]);
      await writeFile(to, stdout);
    }
  }
  await writeFile(join(root, 'lib/modules/order'), `${order.join(' ')}\n`);
  const pack = `"$1" find . | "$1" cpio -o -H newc -R 0:0`;
  const { stdout } = await runProgram(busybox, ['sh', '-c', pack, 'pack', busybox], { cwd: root });
  return promisify(gzip)(stdout, { level: 9 });
}

/** A disk as BIOS boots it. The programs that make it are those that were unpacked. */
async function makeDisk(
  disk: string,
  { root, kernel }: DemoParts,
  initrd: string,
  config: string,
): Promise<void> {
  const programs = join(root, 'usr/bin');
  const env = {
    PATH: `${programs}:/usr/bin:/bin`,
    MTOOLSRC: '/dev/null',
    MTOOLS_SKIP_CHECK: '1',
  };
  const run = (name: string, ...args: string[]) => runProgram(join(programs, name), args, { env });
  await writeFile(config, BOOT);
  await runProgram('truncate', ['-s', `${DISK_MIB.toString()}M`, disk]);
  const sectors = (DISK_MIB * SECTORS_PER_MIB).toString();
  const shape = ['-T', sectors, '-h', '64', '-s', '32', '-c', '8', '-m', '0xf8', '-v', 'BERTH'];
  await run('mformat', '-i', disk, ...shape, '::');
  await run('mcopy', '-i', disk, kernel, '::vmlinuz');
  await run('mcopy', '-i', disk, initrd, '::initrd');
  await run('mcopy', '-i', disk, config, '::syslinux.cfg');
  await run('syslinux', '--install', disk);
}
