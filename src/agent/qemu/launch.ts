/**
 * Starts a QEMU so that it outlives the agent: in a session of its own, without rights, within its
 * control groups from its first instruction on, and with the files it needs already open.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:fs';
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { processStat, type VmProcess } from './process.js';

/** As whom VMs run. */
export interface VmUser {
  readonly uid: number;
  readonly gid: number;
}

/** How a process ended; both null when only its parent could know and that is not us. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Launch {
  readonly program: string;
  readonly args: readonly string[];
  /** Where it is started; it can write only here. */
  readonly runDir: string;
  /** What it has open from descriptor 3 on, in this order. */
  readonly files: readonly OpenFile[];
  /** Takes what it prints. */
  readonly log: string;
  /** Files into which its pid is written before it begins. */
  readonly groupFiles: readonly string[];
  /** Null when it runs as the agent does. */
  readonly user: VmUser | null;
  /** Group that may use /dev/kvm; null when it is not used. */
  readonly kvmGroup: number | null;
  /** Stands in for /dev/net/tun; null when that may be used as it is, or is not needed. */
  readonly tunNode: string | null;
}

export interface OpenFile {
  readonly path: string;
  readonly mode: 'read' | 'write' | 'append';
}

/** What only the parent of a process has. */
export interface Child {
  readonly ended: Promise<ProcessEnd>;
  /** From now on it does not keep our own process from ending. */
  letGo(): void;
}

export type Launched = VmProcess & Child;

/** First descriptor after the standard ones. */
export const FIRST_DESCRIPTOR = 3;

/** Words reach the shell as its arguments only: no text is ever part of the program. */
const ENTER_GROUPS = `
count=$1; shift
while [ "$count" -gt 0 ]; do echo $$ > "$1" || exit 125; shift; count=$((count - 1)); done
exec "$@"`;

/** In a mount namespace of its own the machine's own device stays as it is. */
const OVER_TUN = 'mount --bind "$0" /dev/net/tun && exec "$@"';

const OPEN_FILES_MAX = 1024;

/** The words of the command: each program replaces the one before, so that the pid stays. */
export function launchCommand(launch: Launch): readonly [string, ...string[]] {
  const { program, args, groupFiles, tunNode } = launch;
  return [
    '/bin/sh',
    ...['-c', ENTER_GROUPS, 'berth-vm', groupFiles.length.toString(), ...groupFiles],
    ...(tunNode === null
      ? []
      : ['unshare', '--mount', '--propagation', 'private', '/bin/sh', '-c', OVER_TUN, tunNode]),
    ...withoutRights(launch),
    ...['prlimit', '--core=0', `--nofile=${OPEN_FILES_MAX.toString()}`, '--'],
    ...[program, ...args],
  ];
}

/**
 * Before QEMU runs, as QEMU dropping rights by itself would not go with its own sandbox.
 * An agent without rights has none to drop, but for what systemd may have given it.
 */
function withoutRights({ user, kvmGroup }: Launch): readonly string[] {
  const always = ['--no-new-privs', '--inh-caps=-all'];
  if (user === null) return ['setpriv', ...always, '--ambient-caps=-all', '--'];
  return [
    ...['setpriv', `--reuid=${user.uid.toString()}`, `--regid=${user.gid.toString()}`],
    kvmGroup === null ? '--clear-groups' : `--groups=${kvmGroup.toString()}`,
    ...[...always, '--bounding-set=-all', '--'],
  ];
}

/** @throws Error when a file cannot be opened or the process cannot be started */
export async function launchProcess(launch: Launch): Promise<Launched> {
  const [command, ...args] = launchCommand(launch);
  const handles: FileHandle[] = [];
  try {
    const log = await openFile({ path: launch.log, mode: 'append' });
    handles.push(log);
    for (const file of launch.files) handles.push(await openFile(file));
    const child = spawn(command, args, {
      cwd: launch.runDir,
      detached: true,
      stdio: ['ignore', ...[log, ...handles].map(({ fd }) => fd)],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    });
    return await startedProcess(child);
  } finally {
    await Promise.all(handles.map((handle) => handle.close()));
  }
}

/** A link in the place of a file is not followed. */
function openFile({ path, mode }: OpenFile): Promise<FileHandle> {
  const { O_RDONLY, O_RDWR, O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
  const flags = { read: O_RDONLY, write: O_RDWR, append: O_WRONLY | O_APPEND | O_CREAT }[mode];
  return open(path, flags | O_NOFOLLOW, 0o600);
}

async function startedProcess(child: ChildProcess): Promise<Launched> {
  const ended = new Promise<ProcessEnd>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      resolve({ code, signal });
    });
  });
  if (child.pid === undefined) {
    await ended;
    throw new Error('the process has no number');
  }
  const seen = await processStat(child.pid);
  // One that has ended already is known by nothing any more, but its end.
  return {
    pid: child.pid,
    startTicks: seen?.startTicks ?? -1,
    ended,
    letGo() {
      child.unref();
    },
  };
}

/**
 * As whom VMs run when the agent is root.
 * @returns null for an agent that is not root: VMs run as it does
 * @throws Error when there is no such user, or when it is root itself
 */
export async function vmUserOf(name: string): Promise<VmUser | null> {
  if (process.getuid?.() !== 0) return null;
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n');
  const fields = accounts.map((line) => line.split(':')).find(([account]) => account === name);
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
  if (Number.isSafeInteger(uid) && Number.isSafeInteger(gid) && uid > 0 && gid > 0) {
    return { uid, gid };
  }
  throw new Error(
    `VMs cannot run as the user ${name}: there must be one, and it must not be root (AGENT_VM_USER)`,
  );
}

/** @returns the group of /dev/kvm; null where there is no such device */
export async function kvmGroup(): Promise<number | null> {
  return stat('/dev/kvm').then(
    ({ gid }) => gid,
    () => null,
  );
}
