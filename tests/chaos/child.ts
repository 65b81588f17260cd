/** A process that a chaos run starts, pauses, kills and starts again; its words go to a file. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';

export class Child {
  #process: ChildProcess | null = null;
  /** How it ended, when nobody here ended it. */
  died: string | null = null;
  /** The one that was ended here last. */
  #ended: ChildProcess | null = null;

  constructor(
    readonly name: string,
    private readonly command: readonly [string, ...string[]],
    private readonly env: Readonly<Record<string, string>>,
    readonly logFile: string,
  ) {}

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get running(): boolean {
    return this.#process !== null && !hasEnded(this.#process);
  }

  start(): void {
    const log = openSync(this.logFile, 'a');
    const [program, ...args] = this.command;
    this.#process = spawn(program, args, {
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', ...this.env },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const child = this.#process;
    child.once('exit', (code, by) => {
      if (this.#ended !== child) this.died ??= by ?? `exit ${String(code)}`;
    });
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child === null || hasEnded(child)) return;
    const exit = once(child, 'exit');
    this.#ended = child;
    child.kill(signal);
    await exit;
  }

  pause(): void {
    if (this.running) process.kill(this.pid, 'SIGSTOP');
  }

  resume(): void {
    if (this.running) process.kill(this.pid, 'SIGCONT');
  }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode !== null || signalCode !== null;

/** A process and those that it has started. */
export function familyOf(pid: number): readonly number[] {
  return [pid, ...childrenOf(pid)];
}

const childrenOf = (pid: number): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => parentOf(one) === pid);

/** Everything that a process has started, and what that has started. */
export const descendantsOf = (pid: number): readonly number[] =>
  childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);

function parentOf(pid: number): number | null {
  try {
    // The name of the program stands in brackets and may hold spaces.
    const [, fields = ''] = readFileSync(`/proc/${pid.toString()}/stat`, 'utf8').split(/\) /);
    return Number(fields.split(' ')[1]);
  } catch {
    // It has ended since it was listed.
    return null;
  }
}

/** The local ports of a process's TCP sockets: whose connection is it that a proxy sees? */
export function portsOf(pid: number): ReadonlySet<number> {
  const folder = `/proc/${pid.toString()}`;
  const sockets = new Set<string>();
  for (const name of readdirSync(`${folder}/fd`)) {
    try {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/fd/${name}`)) ?? [];
      if (inode !== undefined) sockets.add(inode);
    } catch {
      // It was closed meanwhile.
    }
  }
  const rows = readFileSync(`${folder}/net/tcp`, 'utf8').trim().split('\n').slice(1);
  return new Set(
    rows.flatMap((row) => {
      const fields = row.trim().split(/\s+/);
      const port = parseInt((fields[1] ?? '').split(':')[1] ?? '', 16);
      return sockets.has(fields[9] ?? '') ? [port] : [];
    }),
  );
}
