/**
 * Which process is a VM's, to an agent with the rights that its service gives it. The processes are
 * QEMUs without a machine under another user; the agent is a process of its own, since rights that
 * are gone do not come back.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { vmUserOf } from '../../../src/agent/qemu/launch.js';
import { noteProcess, processStat, type VmProcess } from '../../../src/agent/qemu/process.js';
import {
  makeVmDirectory,
  vmDirectoryOf,
  type VmDirectory,
} from '../../../src/agent/qemu/vm-directory.js';
import { readText, ROOT } from '../../house/source-tree.js';
import { requireQemu } from './qemu-fixture.js';

const run = promisify(execFile);

const LIMIT_MS = 120_000;
const BOOT_ID = 'a-boot';

/** What the unit leaves to the agent, as setpriv calls it. */
const OF_THE_SERVICE = (
  /^CapabilityBoundingSet=(.*)$/m.exec(readText('resources/berth-agent.service'))?.[1] ?? ''
)
  .split(' ')
  .map((name) => name.replace('CAP_', '').toLowerCase());
const BLIND = OF_THE_SERVICE.filter((name) => name !== 'sys_ptrace');

let root: string;
let children: ChildProcess[];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'berth-process-'));
  children = [];
});
afterEach(async () => {
  for (const child of children) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  await rm(root, { recursive: true, force: true });
});

/** Starts a QEMU with the UUID of a VM somewhere; resolves once it is one. */
async function startQemu(key: string, cwd: string): Promise<VmProcess> {
  const program = await requireQemu();
  const args = ['-machine', 'none', '-nodefaults', '-display', 'none', '-uuid', key];
  const user = await vmUserOf('nobody');
  const rights =
    user === null
      ? []
      : [`--reuid=${user.uid.toString()}`, `--regid=${user.gid.toString()}`, '--clear-groups'];
  const child = spawn('setpriv', [...rights, '--no-new-privs', '--', program, ...args], {
    cwd,
    stdio: 'ignore',
  });
  children.push(child);
  const pid = child.pid ?? 0;
  const end = Date.now() + LIMIT_MS;
  for (;;) {
    const { stdout } = await run('ps', ['-o', 'comm=', '-p', pid.toString()]);
    if (stdout.startsWith('qemu-system')) break;
    if (Date.now() > end) throw new Error('QEMU does not start');
    await sleep(20);
  }
  return { pid, startTicks: (await processStat(pid))?.startTicks ?? -1 };
}

/** Which process an agent with these rights finds; null: none. */
async function foundWith(rights: readonly string[], directory: VmDirectory): Promise<unknown> {
  const program = `
    import { findProcess } from './src/agent/qemu/process.ts';
    const found = await findProcess(JSON.parse(process.argv[1]), process.argv[2]);
    console.log(JSON.stringify(found && { pid: found.pid, startTicks: found.startTicks }));`;
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', program];
  const words = [...node, '--', JSON.stringify(directory), BOOT_ID];
  // Only who is root has rights to give up.
  const [file = '', ...args] =
    process.getuid?.() === 0
      ? ['setpriv', `--bounding-set=-all,${rights.map((name) => `+${name}`).join(',')}`, ...words]
      : words;
  const { stdout } = await run(file, args, { cwd: ROOT, timeout: LIMIT_MS });
  return JSON.parse(stdout) as unknown;
}

it(
  'finds the process of a VM under another user, noted or not, with the rights of the service',
  async () => {
    const vm = vmDirectoryOf(root, 'web');
    await makeVmDirectory(vm, await vmUserOf('nobody'));
    const started = await startQemu(vm.key, vm.runDir);
    expect(await foundWith(OF_THE_SERVICE, vm)).toEqual(started);
    await noteProcess(vm, 'web', started, BOOT_ID);
    expect(await foundWith(OF_THE_SERVICE, vm)).toEqual(started);
    // Also where directory and program of the process do not show.
    expect(await foundWith(BLIND, vm)).toEqual(started);
  },
  LIMIT_MS * 2,
);

it(
  'takes no QEMU for a VM that only says its UUID and works elsewhere',
  async () => {
    const vm = vmDirectoryOf(root, 'web');
    await makeVmDirectory(vm, await vmUserOf('nobody'));
    await startQemu(vm.key, tmpdir());
    expect(await foundWith(OF_THE_SERVICE, vm)).toBeNull();
  },
  LIMIT_MS * 2,
);
