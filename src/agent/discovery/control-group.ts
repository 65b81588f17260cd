/**
 * What the control groups above this process leave it: in a container they are less than the machine.
 * A limit holds for all that is below it, so each ancestor is asked, in both versions.
 */
import { posix } from 'node:path';
import { readSys } from './sys-files.js';

/** One limit: its file in version 2, and controller and file in version 1. */
interface LimitFile {
  readonly v2: string;
  readonly controller: string;
  readonly v1: string;
}

const MOUNT = '/sys/fs/cgroup';

const LIMIT_FILES = {
  quota: { v2: 'cpu.max', controller: 'cpu', v1: 'cpu.cfs_quota_us' },
  period: { v2: 'cpu.max', controller: 'cpu', v1: 'cpu.cfs_period_us' },
  cpus: { v2: 'cpuset.cpus.effective', controller: 'cpuset', v1: 'cpuset.effective_cpus' },
  memory: { v2: 'memory.max', controller: 'memory', v1: 'memory.limit_in_bytes' },
} as const satisfies Record<string, LimitFile>;

/** Texts of a limit, from the group of this process up to the root. */
export async function limitTexts(
  root: string,
  limit: 'cpus' | 'memory',
): Promise<readonly string[]> {
  const groups = await groupsOf(root);
  const { v2, controller, v1 } = LIMIT_FILES[limit];
  return texts(root, [
    ...groups
      .filter((group) => group.controllers === null)
      .map(({ path }) => `${MOUNT}${path}/${v2}`),
    ...groups.filter(holds(controller)).map(({ path }) => `${MOUNT}/${controller}${path}/${v1}`),
  ]);
}

/** CPU quotas as version 2 writes them: `200000 100000`. */
export async function quotaTexts(root: string): Promise<readonly string[]> {
  const groups = await groupsOf(root);
  const found = await texts(
    root,
    groups
      .filter((group) => group.controllers === null)
      .map(({ path }) => `${MOUNT}${path}/${LIMIT_FILES.quota.v2}`),
  );
  const { controller, v1 } = LIMIT_FILES.quota;
  const older = await Promise.all(
    groups.filter(holds(controller)).map(async ({ path }) => {
      const folder = `${MOUNT}/${controller}${path}`;
      const quota = await readSys(root, `${folder}/${v1}`);
      const period = await readSys(root, `${folder}/${LIMIT_FILES.period.v1}`);
      return quota === null || period === null ? [] : [`${quota.trim()} ${period.trim()}`];
    }),
  );
  return [...found, ...older.flat()];
}

interface Group {
  /** Controllers of version 1; null in version 2, whose groups have them all. */
  readonly controllers: readonly string[] | null;
  /** Below the mount; empty for its root. */
  readonly path: string;
}

const holds =
  (controller: string) =>
  ({ controllers }: Group): boolean =>
    controllers?.includes(controller) === true;

/** The groups of this process and all above them, from `4:cpu,cpuacct:/a/b` and `0::/a/b`. */
async function groupsOf(root: string): Promise<readonly Group[]> {
  const text = (await readSys(root, '/proc/self/cgroup')) ?? '';
  return text.split('\n').flatMap((line) => {
    const [, names, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (names === undefined || path === undefined) return [];
    const controllers = names === '' ? null : names.split(',');
    return selfAndAbove(posix.normalize(path)).map((one) => ({ controllers, path: one }));
  });
}

function selfAndAbove(path: string): readonly string[] {
  const steps = path.split('/').filter((step) => step !== '' && step !== '..');
  return Array.from({ length: steps.length + 1 }, (_, dropped) =>
    steps
      .slice(0, steps.length - dropped)
      .map((step) => `/${step}`)
      .join(''),
  );
}

async function texts(root: string, paths: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(paths.map((path) => readSys(root, path)));
  return found.filter((text) => text !== null);
}
