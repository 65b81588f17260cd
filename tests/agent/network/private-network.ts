/** A network namespace of a test's own, which vanishes with all that is in it when its process ends. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { toolRunner, type RunTool } from '../../../src/agent/network/commands.js';

export interface PrivateNetwork {
  /** Words before a command that is to run inside. */
  readonly inside: readonly string[];
  readonly run: RunTool;
  close(): void;
}

/** As root, or as root of a user namespace where an ordinary user may have one. */
const WAYS = [
  { unshare: ['-n'], enter: ['-n'] },
  { unshare: ['-r', '-n'], enter: ['-U', '-n', '--preserve-credentials'] },
] as const;

const LIFE_S = '1800';
const READY_LIMIT_MS = 20_000;

/** @returns null where this machine allows none, or has no TAPs */
export async function openPrivateNetwork(): Promise<PrivateNetwork | null> {
  for (const { unshare, enter } of WAYS) {
    if (spawnSync('unshare', [...unshare, 'true']).status !== 0) continue;
    const keeper = spawn('unshare', [...unshare, 'sleep', LIFE_S], { stdio: 'ignore' });
    const inside = ['nsenter', '-t', (keeper.pid ?? 0).toString(), ...enter];
    const run = toolRunner(inside);
    await whenApart(keeper);
    const close = (): void => {
      keeper.kill('SIGKILL');
    };
    const hasTaps = await run('ip', ['tuntap', 'add', 'dev', 'try0', 'mode', 'tap']).then(
      () => true,
      () => false,
    );
    if (hasTaps) {
      await run('ip', ['link', 'delete', 'dev', 'try0']);
      return { inside, run, close };
    }
    close();
  }
  return null;
}

/** Until then a command that enters would stay in the network of this machine. */
async function whenApart({ pid = 0 }: ChildProcess): Promise<void> {
  const own = readlinkSync('/proc/self/ns/net');
  const end = Date.now() + READY_LIMIT_MS;
  while (readlinkSync(`/proc/${pid.toString()}/ns/net`) === own) {
    if (Date.now() > end) throw new Error('the namespace does not come about');
    await sleep(10);
  }
}

/** Commands of a host that allows nothing: of this machine, but without any right, not even root's. */
export const helpless = (network: PrivateNetwork | null): RunTool =>
  toolRunner([
    ...(network?.inside ?? []),
    'setpriv',
    '--bounding-set=-all',
    '--inh-caps=-all',
    '--',
  ]);
