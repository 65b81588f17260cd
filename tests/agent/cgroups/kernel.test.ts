/**
 * Control groups on this machine's own kernel. What it cannot do, the agent must have said: every
 * limit is either seen to hold or among the sentences.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { kernelGroupFiles } from '../../../src/agent/cgroups/group-files.js';
import { openVmGroups } from '../../../src/agent/cgroups/vm-groups.js';
import type { VmGroups } from '../../../src/agent/vm-parts.js';
import { prngOf } from '../../../src/std/prng.js';
import { silentLog } from '../../support/log.js';

const LIMIT_MS = 30_000;

/** Apart from others on this machine, who may run the same test. */
const tag = `t${process.pid.toString(16)}`;
const open = () => openVmGroups({ tag, files: kernelGroupFiles, log: silentLog });

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  const groups = await open();
  // Also what a test that has failed left running.
  for (const vmId of ['greedy', 'busy']) await groups.remove(vmId);
  await groups.sweep(new Set());
});

/** A process that is entered into the groups before it does anything, as QEMU will be. */
async function run(files: readonly string[], script: string): Promise<ChildProcess> {
  const child = spawn('sh', ['-c', `read go; ${script}`], { stdio: ['pipe', 'ignore', 'ignore'] });
  children.push(child);
  for (const file of files) await writeFile(file, child.pid!.toString());
  child.stdin.write('go\n');
  return child;
}

const isHeld = ({ notEnforced }: VmGroups, what: string): boolean =>
  !notEnforced.some((sentence) => sentence.startsWith(what));

async function until(isTrue: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + LIMIT_MS;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error('it does not come about');
    await sleep(20);
  }
}

describe('control groups of this machine', () => {
  it('end a process that takes more memory than its VM has', async () => {
    const groups = await open();
    const files = await groups.make('greedy', { cpu: 1, memoryMib: 16 });
    expect(files.length > 0).toBe(groups.notEnforced.length < 3);
    if (!isHeld(groups, 'Memory')) return;
    // The limit is 273 MiB; this asks for twice as much, and for nothing beside it.
    const child = await run(files, `exec perl -e 'my $x = "x" x 600_000_000; sleep 60'`);
    await until(() => child.exitCode !== null || child.signalCode !== null);
    expect(child.signalCode).toBe('SIGKILL');
    await groups.remove('greedy');
    for (const file of files) expect(existsSync(dirname(file))).toBe(false);
  });

  it('give a VM no more time than its vCPUs have', async () => {
    const groups = await open();
    const files = await groups.make('busy', { cpu: 1, memoryMib: 64 });
    if (!isHeld(groups, 'CPU')) {
      expect(files.some((file) => file.includes('cpu'))).toBe(false);
      return;
    }
    const group = dirname(files.find((path) => existsSync(`${dirname(path)}/cpu.stat`))!);
    const [quota, least] = existsSync(`${group}/cpu.max`)
      ? [`${group}/cpu.max`, '5000 100000']
      : [`${group}/cpu.cfs_quota_us`, '5000'];
    expect(await readFile(quota, 'utf8')).toMatch(/^100000( 100000)?\n$/);
    const child = await run(files, 'for n in 1 2 3 4; do while :; do :; done & done; wait');
    // A whole CPU is more than a busy machine gives these four; a twentieth of one is not.
    await writeFile(quota, least);
    const throttled = async () =>
      Number(/nr_throttled (\d+)/.exec(await readFile(`${group}/cpu.stat`, 'utf8'))?.[1]);
    await until(async () => (await throttled()) > 0);
    // The group goes with the four that it left behind.
    child.kill('SIGKILL');
    await groups.remove('busy');
    expect(existsSync(group)).toBe(false);
  });

  it('are all gone after 50 that were made and removed in random order', async () => {
    const chance = prngOf('groups');
    const made = new Map<string, readonly string[]>();
    for (let step = 0; step < 50; step += 1) {
      // Each time as by an agent that was killed and has begun anew.
      const groups = await open();
      const vmId = `vm-${chance.between(0, 7)}`;
      const files = made.get(vmId);
      if (files === undefined) made.set(vmId, await groups.make(vmId, { cpu: 1, memoryMib: 64 }));
      else {
        if (chance.chance(0.5)) await run(files, 'sleep 60');
        await groups.remove(vmId);
        made.delete(vmId);
        for (const file of files) expect(existsSync(dirname(file))).toBe(false);
      }
    }
    const groups = await open();
    await groups.sweep(new Set());
    for (const file of [...made.values()].flat()) expect(existsSync(dirname(file))).toBe(false);
  });
});
