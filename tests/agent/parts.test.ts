/** The agent's small parts, each by itself. */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { hostName } from '../../src/agent/agent.js';
import { bookableOf, evaluate, sumOfHeld, type Held } from '../../src/agent/claims.js';
import { writeDurably } from '../../src/agent/durable-file.js';
import { readBootId } from '../../src/agent/identity.js';
import { createVmQueue } from '../../src/agent/vm-queue.js';
import { fileNameOf, openVmStore, type VmRecord } from '../../src/agent/vm-store.js';
import type { Resources } from '../../src/model/resources.js';
import { silentLog } from '../support/log.js';
import { temporaryDir } from './agent-fixture.js';

let directory: string;
beforeEach(async () => {
  directory = await temporaryDir();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('claims', () => {
  const held = new Map([
    ['a', { cpu: 2, memory: 100 }],
    ['b', { cpu: 1, gpu: 1 }],
  ]);

  it('adds up what all hold', () => {
    expect(sumOfHeld(held)).toEqual({ cpu: 3, memory: 100, gpu: 1 });
    expect(sumOfHeld(held, 'a')).toEqual({ cpu: 1, gpu: 1 });
  });

  const shortOf = (limits: Resources, all: Held, vmId: string, charge: Resources) =>
    evaluate({ limits, held: all, maxPerVm: {} }, { vmId, charge });

  it('does not count a VM against itself', () => {
    const limits = { cpu: 3, memory: 100, gpu: 1 };
    expect(shortOf(limits, held, 'a', { cpu: 2, memory: 100 })).toEqual([]);
    expect(shortOf(limits, held, 'c', { cpu: 1, memory: 1, gpu: 0 })).toEqual([
      { resource: 'cpu', requested: 1, available: 0, limit: 3 },
      { resource: 'memory', requested: 1, available: 0, limit: 100 },
    ]);
  });

  it('sells what the policy lets it sell', () => {
    const totals = {
      cpu: { total: 8, source: 'detected' },
      memory: { total: 1001, source: 'detected' },
    } as const;
    const policy = { overcommit: { cpu: 4 }, reserve: { memory: 0.1 } };
    expect(bookableOf(totals, {}, policy)).toEqual({ cpu: 32, memory: 900 });
    const overrides = { overcommit: { cpu: 2 }, totals: { gpu: 1 } };
    expect(bookableOf(totals, overrides, policy)).toEqual({ cpu: 16, memory: 900, gpu: 1 });
  });

  it('I1: claims that are granted one after another never pass a limit', () => {
    const amounts = fc.record({ cpu: fc.nat(5), memory: fc.nat(50) });
    fc.assert(
      fc.property(fc.array(amounts, { maxLength: 40 }), amounts, (requests, limits) => {
        const granted = new Map<string, Readonly<Record<string, number>>>();
        requests.forEach((request, n) => {
          const id = `vm-${(n % 7).toString()}`;
          if (shortOf(limits, granted, id, request).length === 0) granted.set(id, request);
        });
        const sum = sumOfHeld(granted);
        expect(sum.cpu ?? 0).toBeLessThanOrEqual(limits.cpu);
        expect(sum.memory ?? 0).toBeLessThanOrEqual(limits.memory);
      }),
    );
  });
});

describe('the VM store', () => {
  const record = (id: string, assignment: number): VmRecord => ({
    id,
    assignment,
    name: 'vm',
    resources: { cpu: 1 },
    image: null,
    users: [],
    state: 'running',
    reason: null,
    stateSince: 1,
    removing: false,
  });
  const open = () => openVmStore(directory, silentLog);

  it('keeps ids apart that differ only by case, on any file system', () => {
    const names = ['a', 'A', 'aB', 'Ab', 'AB', 'ab'].map(fileNameOf);
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(6);
  });

  it('remembers VMs and, of those that are gone, the assignment', async () => {
    const store = await open();
    await store.save(record('Kept', 3));
    await store.save(record('gone', 4));
    await store.bury('gone', 5);
    for (const view of [store, await open()]) {
      expect(view.vms()).toEqual([record('Kept', 3)]);
      expect(view.vm('gone')).toBeNull();
      expect(view.newestAssignment('gone')).toBe(5);
      expect(view.newestAssignment('never')).toBe(0);
    }
  });

  it('changes its memory only after the disk', async () => {
    const store = await open();
    await store.save(record('vm', 3));
    await rm(directory, { recursive: true });
    await expect(store.save(record('vm', 4))).rejects.toThrow();
    await expect(store.bury('vm', 5)).rejects.toThrow();
    expect(store.newestAssignment('vm')).toBe(3);
    expect(store.vm('vm')).toEqual(record('vm', 3));
  });

  it('clears away what a crash left half written', async () => {
    await writeFile(join(directory, 'vm.json.0a1b.tmp'), '{"for');
    expect((await open()).vms()).toEqual([]);
    expect(await readdir(directory)).toEqual(['set-aside']);
  });

  it('a write that fails leaves nothing behind', async () => {
    await mkdir(join(directory, 'taken'));
    await expect(writeDurably(join(directory, 'taken'), 'x')).rejects.toThrow();
    expect(await readdir(directory)).toEqual(['taken']);
  });
});

describe('the queue', () => {
  it('does one thing at a time per VM, in order, and is not stopped by a failure', async () => {
    const queue = createVmQueue();
    const steps: string[] = [];
    const step = (name: string) => async () => {
      steps.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      steps.push(`${name} ends`);
      if (name === 'a1') throw new Error('a1 fails');
    };
    const first = queue.run('a', step('a1'));
    const second = queue.run('a', step('a2'));
    const other = queue.run('b', step('b1'));
    await expect(first).rejects.toThrow('a1 fails');
    await Promise.all([second, other, queue.idle()]);
    expect(steps.filter((text) => text.startsWith('a'))).toEqual([
      'a1 begins',
      'a1 ends',
      'a2 begins',
      'a2 ends',
    ]);
    expect(steps.indexOf('b1 begins')).toBeLessThan(steps.indexOf('a1 ends'));
  });
});

it('makes up a boot id where there is none', async () => {
  expect(await readBootId(join(directory, 'none'))).toMatch(/^[0-9a-f-]{36}$/);
});

it.each([
  ['web-1.example.org', 'web-1.example.org'],
  ['--Ünit_1--', 'nit_1'],
  ['x'.repeat(80), 'x'.repeat(63)],
  ['***', 'host'],
])('the machine name %s becomes the host name %s', (machine, name) => {
  expect(hostName(machine)).toBe(name);
});
