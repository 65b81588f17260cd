/** Finds and prepares the groups under which those of VMs are made, one for each hierarchy in use. */
import type { GroupFiles } from './group-files.js';
import {
  CONTROLLERS,
  mountsIn,
  ownGroupIn,
  parentGroupOf,
  type Controller,
  type Mount,
} from './hierarchies.js';
import { settingsFor } from './limits.js';

/** A group in which VMs get groups of their own. */
export interface Place {
  readonly version: 1 | 2;
  readonly path: string;
  /** What is limited here. */
  readonly controllers: readonly Controller[];
}

export interface Places {
  readonly places: readonly Place[];
  /** What is limited nowhere, each a sentence for people. */
  readonly notEnforced: readonly string[];
}

const LIMITED: Readonly<Record<Controller, string>> = {
  cpu: 'CPU limits of VMs are not enforced',
  memory: 'Memory limits of VMs are not enforced on the host',
  pids: 'The number of processes of a VM is not limited',
};

const TRIAL_LIMITS = { cpu: 1, memoryMib: 1024 };

/**
 * @param procSelf where the kernel shows this process
 * @param trial name for a group in which limits are tried; no VM's group and no other agent has it
 */
export async function findPlaces(
  files: GroupFiles,
  procSelf: string,
  trial: string,
): Promise<Places> {
  const mounts = mountsIn((await files.read(`${procSelf}/mountinfo`)) ?? '');
  const own = ownGroupIn((await files.read(`${procSelf}/cgroup`)) ?? '') ?? '/';
  const notEnforced: string[] = [];
  const byPath = new Map<string, Place>();
  for (const controller of CONTROLLERS) {
    try {
      const place = await placeFor(files, mounts, own, controller);
      await tryOut(files, place, controller, `${place.path}/${trial}`);
      const before = byPath.get(place.path)?.controllers ?? [];
      byPath.set(place.path, { ...place, controllers: [...before, controller] });
    } catch (cause) {
      notEnforced.push(`${LIMITED[controller]} (${lineOf(cause)}).`);
    }
  }
  return { places: [...byPath.values()], notEnforced };
}

const lineOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

async function placeFor(
  files: GroupFiles,
  mounts: readonly Mount[],
  own: string,
  controller: Controller,
): Promise<Omit<Place, 'controllers'>> {
  const mount = await mountOf(files, mounts, controller);
  if (mount === null) throw new Error(`the kernel shows no ${controller} controller`);
  const { version } = mount;
  const path =
    version === 1
      ? await placeOfVersion1(files, mount)
      : await placeOfVersion2(files, mount, own, controller);
  return { version, path };
}

/** Limits a group that is made for it. @throws Error when that cannot be done */
async function tryOut(
  files: GroupFiles,
  { version }: Omit<Place, 'controllers'>,
  controller: Controller,
  trial: string,
): Promise<void> {
  await files.make(trial);
  try {
    for (const { file, value } of settingsFor(version, controller, TRIAL_LIMITS)) {
      await files.write(`${trial}/${file}`, value);
    }
  } finally {
    await files.remove(trial);
  }
}

/** A controller belongs to one version at a time. */
async function mountOf(
  files: GroupFiles,
  mounts: readonly Mount[],
  controller: Controller,
): Promise<Mount | null> {
  const first = mounts.find((one) => one.version === 1 && one.controllers.includes(controller));
  if (first !== undefined) return first;
  for (const mount of mounts.filter(({ version }) => version === 2)) {
    const has = (await files.read(`${mount.path}/cgroup.controllers`)) ?? '';
    if (wordsIn(has).includes(controller)) return mount;
  }
  return null;
}

async function placeOfVersion1(files: GroupFiles, { path }: Mount): Promise<string> {
  const place = `${path}/berth`;
  await files.make(place);
  return place;
}

/**
 * In version 2 a group with processes gives no controllers to those below it, and takes none while
 * it does; so VMs never stand below a group in which a process is, or will be started.
 */
async function placeOfVersion2(
  files: GroupFiles,
  mount: Mount,
  own: string,
  controller: Controller,
): Promise<string> {
  const below = mount.root === '/' ? own : own.slice(mount.root.length) || '/';
  const parent = parentGroupOf(below);
  const path = `${mount.path}${parent.path}`;
  await files.make(path);
  const place = `${path}/vms`;
  await files.make(place);
  // What stands above a group that was given to us is not ours to change.
  await enable(files, parent.isDelegated ? path : mount.path, place, controller);
  return place;
}

/** Hands a controller down to the groups in `path`, from the group `top` on. */
async function enable(
  files: GroupFiles,
  top: string,
  path: string,
  controller: Controller,
): Promise<void> {
  const has = (await files.read(`${path}/cgroup.controllers`)) ?? '';
  if (!wordsIn(has).includes(controller)) {
    if (path === top) throw new Error(`the ${controller} controller is not given to ${top}`);
    await enable(files, top, path.slice(0, path.lastIndexOf('/')), controller);
  }
  const given = (await files.read(`${path}/cgroup.subtree_control`)) ?? '';
  if (wordsIn(given).includes(controller)) return;
  await files.write(`${path}/cgroup.subtree_control`, `+${controller}`);
}

const wordsIn = (text: string): readonly string[] => text.trim().split(/\s+/);
