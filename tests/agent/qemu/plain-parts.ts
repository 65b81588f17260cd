/**
 * The least that a VM needs around its process, for tests of the driver alone:
 * QEMU's own network without a way out, no control groups, and disks from a directory of images.
 */
import { execFile } from 'node:child_process';
import { access, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { macOf } from '../../../src/agent/network/names.js';
import { DomainError } from '../../../src/model/errors.js';
import { IMAGE_PATTERN } from '../../../src/model/ids.js';
import type {
  VmDisk,
  VmDisks,
  VmGroups,
  VmNetworks,
  VmRates,
} from '../../../src/agent/vm-parts.js';
import type { VmRecord } from '../../../src/agent/vm-store.js';
import { vmKeyOf } from '../../../src/agent/qemu/vm-directory.js';

const run = promisify(execFile);

const QEMU_IMG_LIMIT_MS = 30_000;

/** The network that QEMU itself pretends; no rights are needed for it. */
export const plainNetworks = (): VmNetworks => ({
  mode: 'user',
  notEnforced: ['Network limits are not held: VMs are in user-mode networks.'],
  attach: (vmId) => Promise.resolve({ kind: 'user', mac: macOf(vmId) }),
  detach: () => Promise.resolve(),
  sweep: () => Promise.resolve(),
});

export const plainGroups = (): VmGroups => ({
  notEnforced: ['Limits on processor and memory are not held: there are no control groups.'],
  make: () => Promise.resolve([]),
  remove: () => Promise.resolve(),
  sweep: () => Promise.resolve(),
});

/** What a VM has booked, in both directions, without bursts. */
export function bookedRates({ resources }: VmRecord): VmRates {
  const limit = (resource: string): number | null => {
    const booked = resources[resource] ?? 0;
    return booked === 0 ? null : booked;
  };
  return {
    downloadBytesPerS: limit('network'),
    uploadBytesPerS: limit('network'),
    diskIoBytesPerS: limit('disk_io'),
    downloadBurst: 1,
    uploadBurst: 1,
    diskIoBurst: 1,
  };
}

/**
 * A root disk per VM: empty, or above the image of its name (`<name>.qcow2` or `<name>.raw`).
 * @param imagesDir holds images that the operator put there
 * @param disksDir holds the disks of the VMs
 */
export function plainDisks(imagesDir: string, disksDir: string): VmDisks {
  const pathOf = (vmId: string) => join(disksDir, `${vmKeyOf(vmId)}.qcow2`);
  return {
    async prepare(vm) {
      const path = pathOf(vm.id);
      const backing = vm.image === null ? null : await imageOf(imagesDir, vm.image);
      if (!(await exists(path))) {
        await mkdir(disksDir, { recursive: true, mode: 0o700 });
        await makeDisk(path, backing, vm.resources.disk ?? 0);
      }
      return [{ path, format: 'qcow2', backing, readOnly: false, name: 'root' }];
    },
    async remove(vmId) {
      await rm(pathOf(vmId), { force: true });
    },
    async sweep(vmIds) {
      const kept = new Set([...vmIds].map((vmId) => `${vmKeyOf(vmId)}.qcow2`));
      const files = await readdir(disksDir).catch(() => []);
      for (const file of files) if (!kept.has(file)) await rm(join(disksDir, file));
    },
  };
}

/** @throws DomainError `not_found` when this host has no such image */
async function imageOf(imagesDir: string, name: string): Promise<NonNullable<VmDisk['backing']>> {
  for (const format of ['qcow2', 'raw'] as const) {
    const path = join(imagesDir, `${name}.${format}`);
    if (IMAGE_PATTERN.test(name) && (await exists(path))) return { path, format };
  }
  throw new DomainError('not_found', `This host has no image ${name}.`);
}

/** Made beside and renamed, so that half a disk is never taken for a whole one. */
async function makeDisk(path: string, backing: VmDisk['backing'], sizeMib: number): Promise<void> {
  const making = `${path}.making`;
  const below = backing === null ? [] : ['-b', backing.path, '-F', backing.format];
  const size = `${sizeMib.toString()}M`;
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', ...below, making, size], {
    timeout: QEMU_IMG_LIMIT_MS,
  });
  await rename(making, path);
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
