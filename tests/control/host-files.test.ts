/** Images and consoles through one control plane, with real agents that keep real files. */
import { mkdir, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createSimulatedDriver } from '../../src/agent/drivers/simulated.js';
import type { ImageStore } from '../../src/agent/images/image-store.js';
import { systemClock } from '../../src/std/clock.js';
import type { AgentFixture } from '../agent/agent-fixture.js';
import { ImageFiles, MIB } from '../agent/images/image-files.js';
import { tester } from '../support/callers.js';
import { ControlFixture, settled, type TestReplica } from './control-fixture.js';

const ROOMY = { cpu: 16, memory: 10_000, disk: 10_000 };
const SMALL = { cpu: 1, memory: 100, disk: 100 };

interface RealHost {
  readonly agent: AgentFixture;
  readonly images: ImageStore;
  readonly files: ImageFiles;
}

let fixture: ControlFixture;
let replica: TestReplica;
let made: ImageFiles[];
beforeEach(async () => {
  made = [];
  fixture = await ControlFixture.start();
  replica = await fixture.replica();
});
afterEach(async () => {
  await fixture.stop();
  for (const files of made) await files.remove();
});

/** A host that keeps images and consoles; its VMs only pretend. */
async function realHost(name: string): Promise<RealHost> {
  const files = await ImageFiles.make();
  made.push(files);
  const images = await files.store();
  await mkdir(files.path('consoles'));
  const driver = {
    ...createSimulatedDriver({ clock: systemClock, given: { bootMs: 10, stopMs: 10 } }),
    consoleLog: (vmId: string) => files.path(`consoles/${vmId}`),
  };
  return { agent: await fixture.host(replica, name, ROOMY, {}, { driver, images }), images, files };
}

const source = (text: string) => {
  const bytes = Buffer.alloc(MIB, text);
  return {
    format: 'raw' as const,
    bytes: bytes.length,
    digest: 'f'.repeat(64),
    read: async function* () {
      await Promise.resolve();
      yield bytes.subarray(0, 1000);
      yield bytes.subarray(1000);
    },
  };
};

const create = async (image: string, disk = 100) => {
  const resources = { ...SMALL, disk };
  const input = { resources, image, strategy: 'first-fit' as const };
  return settled(replica.control, await replica.control.createVm(input, tester));
};

describe('images of the fleet', () => {
  it('go to all hosts that keep any, are told by host, and go again', async () => {
    const { images } = await realHost('oak');
    await realHost('elm');
    await fixture.host(replica, 'sim', ROOMY);
    const { files } = replica;
    const on = await files.addImage('demo', source('a'), null, tester);
    const outcomes = Object.fromEntries(on.map(({ host, outcome }) => [host.name, outcome]));
    expect(outcomes).toEqual({ oak: 'done', elm: 'done', sim: 'skipped' });
    expect(images.find('demo')).toMatchObject({ bytes: MIB, format: 'raw' });

    const { items, unanswered } = await files.images();
    expect([items.length, unanswered]).toEqual([1, []]);
    expect(items[0]?.hosts.map(({ host }) => host.name).sort()).toEqual(['elm', 'oak']);

    // Another file under the name: each host says no, and why.
    const other = await files.addImage('demo', source('b'), 'oak', tester);
    expect(other).toMatchObject([{ outcome: 'failed', host: { name: 'oak' } }]);
    expect(other[0]?.detail).toContain('There is another image demo here');

    images.hold('demo', 'vm-1');
    const gone = await files.removeImage('demo', null, tester);
    expect(gone.find(({ host }) => host.name === 'oak')).toMatchObject({ outcome: 'failed' });
    expect((await files.images()).items[0]?.hosts.map(({ host }) => host.name)).toEqual(['oak']);
    await expect(files.addImage('demo', source('a'), 'ash', tester)).rejects.toMatchObject({
      code: 'not_found',
    });

    const { items: entries } = await replica.ports.catalogue.audit({
      limit: 10,
      cursor: null,
      subject: 'demo',
    });
    expect(entries.map(({ action }) => action)).toEqual(['image.remove', 'image.add', 'image.add']);
    expect(entries.at(-1)).toMatchObject({
      after: { done: expect.arrayContaining(['oak', 'elm']) },
    });
  });

  it('that one host lacks are found on the next, and those that all lack are named', async () => {
    await realHost('oak');
    const elm = await realHost('elm');
    await replica.files.addImage('demo', source('a'), 'elm', tester);
    const found = await create('demo');
    expect(found).toMatchObject({ state: 'running', host: { name: 'elm' } });
    expect(found.attempts.map(({ host, outcome }) => [host.name, outcome])).toContainEqual([
      'oak',
      'refused',
    ]);

    const lost = await create('nowhere');
    expect(lost).toMatchObject({ state: 'failed', reason: { code: 'image_missing' } });
    expect(lost.reason?.detail).toContain('does not have the image nowhere');
    expect(elm.images.list()).toHaveLength(1);
  });

  it('that are larger than the disk fail the VM at once, with what it would take', async () => {
    await realHost('oak');
    const big = { ...source('a'), bytes: 3 * MIB };
    const read = async function* () {
      await Promise.resolve();
      yield Buffer.alloc(3 * MIB, 'a');
    };
    await replica.files.addImage('big', { ...big, read }, null, tester);
    expect(await create('big', 2)).toMatchObject({
      state: 'failed',
      reason: { code: 'disk_too_small', detail: 'The image big needs a disk of 3 MiB.' },
    });
  });
});

describe('the console of a VM', () => {
  it('is read on the host where the VM is', async () => {
    const { files: onDisk } = await realHost('oak');
    await replica.files.addImage('demo', source('a'), null, tester);
    const vm = await create('demo');
    const { files } = replica;
    await expect(files.readLog(vm.id, { tailBytes: 100 })).rejects.toMatchObject({
      code: 'not_found',
    });
    await writeFile(onDisk.path(`consoles/${vm.id}`), 'ready\n');
    const piece = await files.readLog(vm.id, { tailBytes: 100 });
    expect([Buffer.from(piece.bytes).toString(), piece.next, piece.more]).toEqual([
      'ready\n',
      6,
      false,
    ]);
    expect((await files.readLog(vm.id, { from: 6 })).bytes).toHaveLength(0);
    await expect(files.readLog('nobody', { from: 0 })).rejects.toMatchObject({ code: 'not_found' });
  });
});
