/**
 * Control groups of version 2 as the kernel keeps them, in memory, with the rules that bite: a group
 * has the files of the controllers that its parent hands down, a group with processes hands down
 * none and one that hands some down takes no process (but the first), and none goes while something is in it. For machines whose kernel has its
 * controllers in version 1.
 */
import type { GroupFiles } from '../../../src/agent/cgroups/group-files.js';

export const MOUNT = '/sys/fs/cgroup';
export const CONTROLLERS = ['cpu', 'memory', 'pids'];

/** Files of each controller in a group below the first. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  cpu: ['cpu.weight', 'cpu.max'],
  memory: ['memory.max'],
  pids: ['pids.max'],
};

interface Group {
  readonly controllers: readonly string[];
  readonly handedDown: Set<string>;
  readonly pids: Set<string>;
  readonly values: Map<string, string>;
}

const failure = (code: string) => Object.assign(new Error(code), { code });

export class PretendKernel implements GroupFiles {
  readonly groups = new Map<string, Group>();
  /** Texts of files elsewhere, as of `/proc/self`. */
  readonly others = new Map<string, string>();

  constructor(controllers: readonly string[] = CONTROLLERS) {
    this.groups.set(MOUNT, {
      controllers,
      handedDown: new Set(),
      pids: new Set(),
      values: new Map(),
    });
    this.others.set(
      '/proc/self/mountinfo',
      `30 23 0:26 / ${MOUNT} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n`,
    );
  }

  /** Puts this process, and others, into a group that is made for it. */
  runIn(path: string, ...pids: string[]): void {
    let group = MOUNT;
    for (const name of path.split('/').filter(Boolean)) {
      const parent = this.#group(group);
      for (const controller of parent.controllers) parent.handedDown.add(controller);
      group += `/${name}`;
      this.#make(group);
    }
    for (const pid of pids) this.#group(group).pids.add(pid);
    this.others.set('/proc/self/cgroup', `0::${path}\n`);
  }

  read(path: string): Promise<string | null> {
    const other = this.others.get(path);
    if (other !== undefined) return Promise.resolve(other);
    const [group, file] = this.#find(path);
    if (group === undefined) return Promise.resolve(null);
    const lists: Readonly<Record<string, Iterable<string>>> = {
      'cgroup.controllers': group.controllers,
      'cgroup.subtree_control': group.handedDown,
    };
    if (file === 'cgroup.procs')
      return Promise.resolve([...group.pids].map((p) => `${p}\n`).join(''));
    const list = lists[file];
    return Promise.resolve(
      list === undefined ? (group.values.get(file) ?? null) : `${[...list].join(' ')}\n`,
    );
  }

  async write(path: string, text: string): Promise<void> {
    const [group, file] = this.#find(path);
    if (group === undefined) throw failure('ENOENT');
    if (file === 'cgroup.procs') {
      if (group.handedDown.size > 0 && !path.startsWith(`${MOUNT}/cgroup.`)) throw failure('EBUSY');
      for (const one of this.groups.values()) one.pids.delete(text);
      group.pids.add(text);
    } else if (file === 'cgroup.subtree_control') {
      this.#handDown(path, group, text);
    } else {
      if (!group.controllers.some((name) => FILES[name]?.includes(file))) throw failure('ENOENT');
      group.values.set(file, text);
    }
  }

  #handDown(path: string, group: Group, text: string): void {
    const controller = text.replace(/^\+/, '');
    if (!group.controllers.includes(controller)) throw failure('ENOENT');
    const isFirst = path.startsWith(`${MOUNT}/cgroup.`);
    if (group.pids.size > 0 && !isFirst) throw failure('EBUSY');
    group.handedDown.add(controller);
    for (const [name, below] of this.groups) {
      if (this.#parentOf(name) === this.#parentOf(path)) {
        this.groups.set(name, { ...below, controllers: [...group.handedDown] });
      }
    }
  }

  async make(path: string): Promise<void> {
    if (this.groups.has(path)) return;
    if (!this.groups.has(this.#parentOf(path))) throw failure('ENOENT');
    this.#make(path);
  }

  async remove(path: string): Promise<void> {
    const group = this.groups.get(path);
    if (group === undefined) return;
    if (group.pids.size > 0 || (await this.groupsIn(path)).length > 0) throw failure('EBUSY');
    this.groups.delete(path);
  }

  groupsIn(path: string): Promise<readonly string[]> {
    const below = [...this.groups.keys()].filter((name) => this.#parentOf(name) === path);
    return Promise.resolve(below.map((name) => name.slice(path.length + 1)));
  }

  #make(path: string): void {
    const controllers = [...this.#group(this.#parentOf(path)).handedDown];
    this.groups.set(path, {
      controllers,
      handedDown: new Set(),
      pids: new Set(),
      values: new Map(),
    });
  }

  #group(path: string): Group {
    const group = this.groups.get(path);
    if (group === undefined) throw failure('ENOENT');
    return group;
  }

  #find(path: string): [Group | undefined, string] {
    return [this.groups.get(this.#parentOf(path)), path.slice(path.lastIndexOf('/') + 1)];
  }

  #parentOf(path: string): string {
    return path.slice(0, path.lastIndexOf('/'));
  }
}
