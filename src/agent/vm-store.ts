/**
 * What this agent knows of VMs, in memory and on disk: one file per VM id that it ever heard of.
 * The file stays when the VM is gone (a tombstone): the newest assignment seen must outlive the VM,
 * or a late order could bring it back (I9). Decides nothing; see vm-keeper.ts.
 */
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentVmState } from '../model/agent-report.js';
import type { Log } from '../model/ports.js';
import type { Resources } from '../model/resources.js';
import type { Reason, VmUser } from '../model/vm.js';
import { vmNoteSchema, type VmBandwidth, type VmNote } from '../wire/agent.js';
import { TEMPORARY_SUFFIX, writeDurably } from './durable-file.js';

/** A VM that this agent has. */
export interface VmRecord {
  readonly id: string;
  /** The newest assignment seen; orders under an older one are refused. */
  readonly assignment: number;
  readonly name: string;
  readonly resources: Resources;
  readonly image: string | null;
  /** Memory in MiB that may be plugged in later, beside its size. */
  readonly hotplugMib?: number | undefined;
  /** Its own limits of the network, in bytes per second; shares where absent. */
  readonly bandwidth?: VmBandwidth | undefined;
  /** Who may log in to its guest. */
  readonly users: readonly VmUser[];
  readonly state: AgentVmState;
  readonly reason: Reason | null;
  /** Milliseconds since 1970. */
  readonly stateSince: number;
  /** A removal was ordered and is not finished; it goes on after a restart. */
  readonly removing: boolean;
}

export interface VmStore {
  /** The VM, or null when this agent has none of this id. */
  vm(id: string): VmRecord | null;
  vms(): readonly VmRecord[];
  /** The newest assignment ever seen for this id; 0 when it was never heard of. */
  newestAssignment(id: string): number;
  /** Keeps a VM. Memory changes only once the disk has. */
  save(vm: VmRecord): Promise<void>;
  /** Forgets a VM, but not its assignment. */
  bury(id: string, assignment: number): Promise<void>;
}

/** Files that cannot be read are moved here, for somebody to look at. */
const SET_ASIDE = 'set-aside';

/**
 * Opens the store of a directory, which it makes if need be.
 * @param onChange called whenever a VM is another than before, or is gone
 */
export async function openVmStore(
  directory: string,
  log: Log,
  onChange: () => void = () => undefined,
): Promise<VmStore> {
  await mkdir(join(directory, SET_ASIDE), { recursive: true, mode: 0o700 });
  const vms = new Map<string, VmRecord>();
  const newest = new Map<string, number>();
  for (const note of await readNotes(directory, log)) {
    newest.set(note.id, note.assignment);
    if (note.vm !== null)
      vms.set(note.id, { id: note.id, assignment: note.assignment, ...note.vm });
  }
  const write = (note: VmNote) =>
    writeDurably(join(directory, fileNameOf(note.id)), `${JSON.stringify(note)}\n`);
  return {
    vm: (id) => vms.get(id) ?? null,
    vms: () => [...vms.values()],
    newestAssignment: (id) => newest.get(id) ?? 0,
    async save(vm) {
      const { id, assignment, ...rest } = vm;
      await write({ format: 1, id, assignment, vm: rest });
      vms.set(id, vm);
      newest.set(id, assignment);
      onChange();
    },
    async bury(id, assignment) {
      await write({ format: 1, id, assignment, vm: null });
      vms.delete(id);
      newest.set(id, assignment);
      onChange();
    },
  };
}

/**
 * An id as the name of a file or a directory. Ids differ by case, file systems (macOS) may not:
 * upper-case letters are marked with a sign that no id holds.
 */
export const markedId = (id: string): string =>
  id.replaceAll(/[A-Z]/g, (letter) => `^${letter.toLowerCase()}`);

/** File name of a VM. */
export const fileNameOf = (id: string): string => `${markedId(id)}.json`;

async function readNotes(directory: string, log: Log): Promise<readonly VmNote[]> {
  const notes: VmNote[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(directory, entry.name);
    if (entry.name.endsWith(TEMPORARY_SUFFIX)) {
      await rm(path, { force: true });
      continue;
    }
    const note = await readNote(path);
    if (note !== null && fileNameOf(note.id) === entry.name) {
      notes.push(note);
      continue;
    }
    const aside = join(directory, SET_ASIDE, `${entry.name}.${Date.now().toString()}`);
    await rename(path, aside);
    log.error('a VM record cannot be read and was set aside; its VM is not known any more', {
      file: aside,
    });
  }
  return notes;
}

/** @returns null when the file is not a record */
async function readNote(path: string): Promise<VmNote | null> {
  const text = await readFile(path, 'utf8');
  try {
    const parsed = vmNoteSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
