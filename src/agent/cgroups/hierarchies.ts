/**
 * Where the kernel has control groups, and which of its two versions has which controller: a host may
 * have one, the other, or some controllers in each. Pure.
 */

export const CONTROLLERS = ['cpu', 'memory', 'pids'] as const;
export type Controller = (typeof CONTROLLERS)[number];

export interface Mount {
  readonly version: 1 | 2;
  readonly path: string;
  /** Controllers that are mounted here; for version 2 the mount itself does not say. */
  readonly controllers: readonly string[];
  /** The group of the hierarchy that stands at the mount; not `/` in a container. */
  readonly root: string;
}

/** Mounts of control groups in the text of `/proc/self/mountinfo`. */
export function mountsIn(mountinfo: string): readonly Mount[] {
  return mountinfo.split('\n').flatMap((line): Mount[] => {
    const fields = line.split(' ');
    const dash = fields.indexOf('-');
    const [root, path] = fields.slice(3, 5).map(unescaped);
    const [kind, , options = ''] = fields.slice(dash + 1);
    if (dash < 0 || root === undefined || path === undefined) return [];
    if (kind === 'cgroup2') return [{ version: 2, path, root, controllers: [] }];
    if (kind !== 'cgroup') return [];
    return [{ version: 1, path, root, controllers: options.split(',') }];
  });
}

/** The kernel writes blanks and backslashes in paths as octal numbers. */
const unescaped = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/g, (_match, digits: string) =>
    String.fromCharCode(parseInt(digits, 8)),
  );

/** The version 2 group of a process, from the text of its `/proc/<pid>/cgroup`; null: it has none. */
export const ownGroupIn = (text: string): string | null => /^0::(\/.*)$/m.exec(text)?.[1] ?? null;

/**
 * The group under which those of VMs are made. A service whose unit says `Delegate=` and
 * `DelegateSubgroup=agent` (systemd 254 and newer) is started below its own group and keeps to it;
 * any other process takes one of its own at the top. A service that was started in its own group
 * hands nothing down from there: while VMs lived below, systemd could not start it in it again.
 * @param own the group of this process, as the mount shows it
 */
export function parentGroupOf(own: string): {
  readonly path: string;
  readonly isDelegated: boolean;
} {
  const service = /^(.*\.service)\/agent$/.exec(own)?.[1];
  if (service !== undefined) return { path: service, isDelegated: true };
  return { path: '/berth', isDelegated: false };
}
