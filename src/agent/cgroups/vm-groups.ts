/**
 * A control group per VM, in each hierarchy that has something to limit: its share and its most of
 * the CPUs, its memory, its processes. Limits what QEMU takes of the host; what the guest is shown
 * is the driver's part.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../model/ports.js';
import { errorCode } from '../../std/error-code.js';
import type { VmGroups } from '../vm-parts.js';
import type { GroupFiles } from './group-files.js';
import { settingsFor, type GroupLimits } from './limits.js';
import { findPlaces, type Place } from './places.js';

export interface VmGroupsOptions {
  /** Apart from other agents on this machine: groups of VMs have it in their name. */
  readonly tag: string;
  readonly files: GroupFiles;
  readonly procSelf?: string | undefined;
  /** Ends a process that is left in the group of a VM that is removed. */
  readonly kill?: ((pid: number) => void) | undefined;
  readonly log: Log;
}

/** What a killed process leaves is cleared away within milliseconds, under load within seconds. */
const EMPTY_LIMIT_MS = 20_000;
const POLL_MS = 20;

export async function openVmGroups(options: VmGroupsOptions): Promise<VmGroups> {
  const { files, tag, log } = options;
  const { places, notEnforced } = await findPlaces(
    files,
    options.procSelf ?? '/proc/self',
    `trial-${tag}`,
  );
  const prefix = `vm-${tag}-`;
  const groupsOf = (vmId: string) =>
    places.map((place) => ({ place, path: `${place.path}/${prefix}${vmId}` }));
  return {
    notEnforced,
    async make(vmId, limits) {
      const groups = groupsOf(vmId);
      for (const { place, path } of groups) await make(files, place, path, limits);
      return groups.map(({ path }) => `${path}/cgroup.procs`);
    },
    async remove(vmId) {
      for (const { path } of groupsOf(vmId)) await remove(files, path, options.kill ?? killNow);
    },
    async sweep(vmIds) {
      for (const { path } of places) {
        for (const name of await files.groupsIn(path)) {
          if (!name.startsWith(prefix) || vmIds.has(name.slice(prefix.length))) continue;
          // A process of a VM that nobody knows of is not ended on a guess.
          if ((await pidsIn(files, `${path}/${name}`)).length === 0) {
            await remove(files, `${path}/${name}`, () => undefined);
          } else log.warn('a process runs in the control group of an unknown VM', { path, name });
        }
      }
    },
  };
}

async function make(
  files: GroupFiles,
  { version, controllers }: Place,
  path: string,
  limits: GroupLimits,
): Promise<void> {
  await files.make(path);
  for (const controller of controllers) {
    for (const { file, value } of settingsFor(version, controller, limits)) {
      await files.write(`${path}/${file}`, value);
    }
  }
}

async function remove(files: GroupFiles, path: string, kill: (pid: number) => void): Promise<void> {
  const end = Date.now() + EMPTY_LIMIT_MS;
  for (;;) {
    for (const pid of await pidsIn(files, path)) kill(pid);
    try {
      await files.remove(path);
      return;
    } catch (cause) {
      if (errorCode(cause) !== 'EBUSY' || Date.now() > end) throw cause;
    }
    await sleep(POLL_MS);
  }
}

const pidsIn = async (files: GroupFiles, path: string): Promise<readonly number[]> =>
  ((await files.read(`${path}/cgroup.procs`)) ?? '').split('\n').filter(Boolean).map(Number);

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (cause) {
    if (errorCode(cause) !== 'ESRCH') throw cause;
  }
}
