/**
 * The parts of the demo guest, from Debian's packages: a kernel, busybox and a boot loader. They are
 * fetched and unpacked into a directory; nothing is installed.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ProgramError, runProgram } from './run-program.js';

export interface DemoParts {
  /** Root of everything that was unpacked. */
  readonly root: string;
  readonly kernel: string;
  /** Where the kernel's modules lie, at any depth. */
  readonly modules: string;
  readonly busybox: string;
}

/** Packages that stand for whichever kernel is the present one; the smaller first. */
const KERNELS = ['linux-image-cloud-amd64', 'linux-image-amd64'] as const;
/** The guest's programs; the boot loader; what writes files to the disk it boots from. */
const OTHERS = ['busybox-static', 'syslinux', 'mtools'] as const;

const DOWNLOAD_LIMIT_MS = 300_000;

/** @throws Error that says what is missing */
export async function fetchDemoParts(directory: string): Promise<DemoParts> {
  const packages = join(directory, 'packages');
  const root = join(directory, 'root');
  await mkdir(packages, { recursive: true });
  await mkdir(root, { recursive: true });
  await download(packages).catch(async (error: unknown) => {
    if (error instanceof ProgramError && error.isMissing) {
      throw new Error('the demo guest is made of Debian packages: apt-get is needed', {
        cause: error,
      });
    }
    // A fresh machine has no package lists, and old ones name packages that are no longer there.
    await runProgram('apt-get', ['-q', 'update'], { limitMs: DOWNLOAD_LIMIT_MS });
    await download(packages);
  });
  for (const name of await readdir(packages)) {
    await runProgram('dpkg-deb', ['-x', join(packages, name), root]);
  }
  return partsIn(root);
}

async function download(directory: string): Promise<void> {
  const names = [await kernelPackage(), ...OTHERS];
  await runProgram('apt-get', ['-q', '-o', 'APT::Sandbox::User=root', 'download', ...names], {
    cwd: directory,
    limitMs: DOWNLOAD_LIMIT_MS,
  });
}

/** The package that has the kernel's files, which the standing one depends on. */
async function kernelPackage(): Promise<string> {
  for (const name of KERNELS) {
    const { stdout } = await runProgram('apt-cache', ['depends', '--important', name]);
    const found = /Depends: (linux-image-\d\S+)/.exec(stdout.toString('utf8'))?.[1];
    if (found !== undefined) return found;
  }
  throw new Error(`Debian has none of ${KERNELS.join(', ')} here`);
}

async function partsIn(root: string): Promise<DemoParts> {
  const files = await readdir(root, { recursive: true });
  const find = (what: string, pattern: RegExp): string => {
    const found = files.find((file) => pattern.test(file));
    if (found === undefined) throw new Error(`the packages of the demo guest have no ${what}`);
    return join(root, found);
  };
  return {
    root,
    kernel: find('kernel', /^boot\/vmlinuz-[^/]+$/),
    modules: find('modules', /^(usr\/)?lib\/modules\/[^/]+\/kernel$/),
    busybox: find('busybox', /^(usr\/)?bin\/busybox$/),
  };
}
