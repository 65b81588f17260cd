/** Many VMs in one request, groups whose rules parallel creates cannot break, and strategies. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { CreateVmInput } from '../../src/control/control.js';
import { createSome } from '../../src/control/create-vms.js';
import type { Scheduler } from '../../src/control/scheduler.js';
import type { GroupPolicy } from '../../src/model/groups.js';
import { tester } from '../support/callers.js';
import { modelVm } from '../support/control-double.js';
import { ControlFixture, eventually, settled, type TestReplica } from './control-fixture.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };
/** Room for exactly three of `SMALL`. */
const TIGHT = { cpu: 16, memory: 340, disk: 10_000 };
const ROOMY = { cpu: 16, memory: 10_000, disk: 10_000 };

const alike = (count: number, wish: Partial<CreateVmInput> = {}): CreateVmInput[] =>
  Array.from({ length: count }, () => ({ resources: SMALL, ...wish }));

const inGroup = (policy: GroupPolicy) => ({
  constraints: { groups: [{ name: 'web', policy }] },
});

describe('batches', () => {
  let fixture: ControlFixture;
  let replica: TestReplica;
  beforeEach(async () => {
    fixture = await ControlFixture.start();
    replica = await fixture.replica();
  });
  afterEach(() => fixture.stop());

  const all = (inputs: readonly CreateVmInput[], by = replica) =>
    by.control.createVms(inputs, { partial: false }, tester);
  const some = (inputs: readonly CreateVmInput[]) =>
    replica.control.createVms(inputs, { partial: true }, tester);
  const count = async () => (await replica.ports.catalogue.vms({ limit: 100, cursor: null })).items;

  it('are placed as a whole, each with its own decision', async () => {
    await fixture.host(replica, 'oak', TIGHT);
    await fixture.host(replica, 'elm', TIGHT);
    const outcomes = await all(alike(6));
    const vms = outcomes.map((outcome) => (outcome.status === 'placed' ? outcome.vm : null));
    expect(new Set(vms.map((vm) => vm?.host?.name))).toEqual(new Set(['oak', 'elm']));
    for (const vm of vms) expect(vm?.attempts[0]?.detail).toMatch(/^cosine /);
    await Promise.all(vms.map(async (vm) => vm !== null && settled(replica.control, vm)));
  });

  it('are refused as a whole, and say who found no place; nothing is booked', async () => {
    const agent = await fixture.host(replica, 'oak', TIGHT);
    const other = await fixture.replica();
    await expect(all(alike(4), other)).rejects.toMatchObject({
      code: 'no_feasible_host',
      extra: { index: 3, summary: { byReason: { insufficient: 1 } } },
    });
    expect(await count()).toEqual([]);
    const totals = (await replica.ports.ledger.totals()).get(agent.contact().hostId) ?? {};
    expect(totals.memory ?? 0).toBe(0);
    // The room that the refused one had for a moment is there for the next.
    await expect(all(alike(3), other)).resolves.toHaveLength(3);
  });

  it('race for room as wholes: one of two that do not both fit', async () => {
    await fixture.host(replica, 'oak', TIGHT);
    const other = await fixture.replica();
    const answers = await Promise.allSettled([all(alike(2)), all(alike(2), other)]);
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await count()).toHaveLength(2);
  });

  it('are placed as far as there is room when that is wanted', async () => {
    await fixture.host(replica, 'oak', TIGHT);
    const outcomes = await some(alike(5));
    expect(outcomes.filter(({ status }) => status === 'placed')).toHaveLength(3);
    for (const outcome of outcomes) {
      if (outcome.status === 'refused') expect(outcome.error.code).toBe('no_feasible_host');
    }
    await expect(some(alike(2))).rejects.toMatchObject({ code: 'no_feasible_host' });
  });

  it('line up in the order of the request, whoever is ready to wait first', async () => {
    const answers: ((taken: boolean) => void)[] = [];
    const line: string[] = [];
    const room: Parameters<typeof createSome>[2] = {
      isTaken: () => new Promise((resolve) => answers.push(resolve)),
      async enter({ spec, requestHash }) {
        line.push(spec.name);
        return Promise.resolve({ vm: modelVm({ name: spec.name }), requestHash });
      },
    };
    const names = ['a', 'b', 'c'];
    const inputs = names.map((name) => ({ name, resources: SMALL, whenFull: 'queue' as const }));
    const made = createSome(replica.ports, {} as Scheduler, room, inputs, tester);
    while (answers.length < names.length) await new Promise((resolve) => setImmediate(resolve));
    for (const answer of answers.reverse()) {
      answer(true);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await made).map(({ status }) => status)).toEqual(['placed', 'placed', 'placed']);
    expect(line).toEqual(names);
  });

  it('larger than a usual batch are still one', async () => {
    await fixture.host(replica, 'oak', { cpu: 500, memory: 100_000, disk: 100_000 });
    await expect(all(alike(100))).resolves.toHaveLength(100);
    await expect(all([...alike(90), { resources: { cpu: 5_000 } }])).rejects.toMatchObject({
      extra: { index: 90 },
    });
    expect((await replica.ports.catalogue.host('oak'))?.vms).toBe(100);
  });

  it('have one effect and one answer when they come twice, also at the same time', async () => {
    await fixture.host(replica, 'oak', ROOMY);
    const other = await fixture.replica();
    const list = ['a', 'b', 'c'].map((id) => ({ id, resources: SMALL }));
    const answers = await Promise.all([all(list), all(list, other), all(list)]);
    const bookings = answers.map((outcomes) =>
      outcomes.map((outcome) =>
        outcome.status === 'placed' ? outcome.vm.allocation?.bookingId : null,
      ),
    );
    expect(bookings[1]).toEqual(bookings[0]);
    expect(bookings[2]).toEqual(bookings[0]);
    expect(await count()).toHaveLength(3);
    const changed = list.map((one) => ({ ...one, resources: { ...SMALL, cpu: 2 } }));
    await expect(all(changed)).rejects.toMatchObject({ code: 'id_conflict', extra: { index: 0 } });
  });
});

describe('groups', () => {
  let fixture: ControlFixture;
  let replica: TestReplica;
  beforeEach(async () => {
    fixture = await ControlFixture.start();
    replica = await fixture.replica();
    for (const name of ['oak', 'elm', 'fir']) await fixture.host(replica, name, TIGHT);
  });
  afterEach(() => fixture.stop());

  it('keep their members apart, however many ask at once, and in a set too', async () => {
    const other = await fixture.replica();
    const answers = await Promise.allSettled(
      Array.from({ length: 12 }, (_none, index) =>
        (index % 2 === 0 ? replica : other).control.createVm(
          { resources: SMALL, ...inGroup('anti-affinity') },
          tester,
        ),
      ),
    );
    const placed = answers.flatMap((answer) =>
      answer.status === 'fulfilled' ? [answer.value.host?.name] : [],
    );
    expect(placed.sort()).toEqual(['elm', 'fir', 'oak']);
    const refused = answers.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
    expect(refused.reason).toMatchObject({
      code: 'no_feasible_host',
      extra: { summary: { byReason: { anti_affinity: 3 } } },
    });
    await expect(
      replica.control.createVms(
        alike(4, { path: 'acme', ...inGroup('anti-affinity') }),
        { partial: false },
        tester,
      ),
    ).rejects.toMatchObject({ extra: { index: 3 } });
  });

  it('keep their members together, and those of a set as well', async () => {
    const outcomes = await replica.control.createVms(
      alike(3, inGroup('affinity')),
      { partial: false },
      tester,
    );
    const hosts = outcomes.map((one) => (one.status === 'placed' ? one.vm.host?.id : null));
    expect(new Set(hosts).size).toBe(1);
    await expect(
      replica.control.createVm({ resources: SMALL, ...inGroup('affinity') }, tester),
    ).rejects.toMatchObject({ code: 'no_feasible_host' });
  });

  it('show the wishes that a place breaks, and still hold after a rebuild', async () => {
    const wish = { resources: SMALL, ...inGroup('soft-anti-affinity') };
    for (let made = 0; made < 3; made += 1) {
      expect(await replica.control.createVm(wish, tester)).toMatchObject({ violations: [] });
    }
    await replica.control.rebuild({ dryRun: false }, tester);
    const fourth = await replica.control.createVm(wish, tester);
    expect(fourth.violations).toEqual([{ name: 'web', policy: 'soft-anti-affinity' }]);
    await expect(
      replica.control.createVm({ resources: SMALL, ...inGroup('anti-affinity') }, tester),
    ).rejects.toMatchObject({ code: 'no_feasible_host' });
  });

  it('let a place go with the VM that had it', async () => {
    const wish = { resources: SMALL, ...inGroup('anti-affinity') };
    const vms = [];
    for (let made = 0; made < 3; made += 1) {
      vms.push(await settled(replica.control, await replica.control.createVm(wish, tester)));
    }
    const [first] = vms;
    await replica.control.deleteVm(first?.id ?? '', tester);
    await eventually('a place', () =>
      replica.control.createVm(wish, tester).then(
        ({ host }) => host?.id === first?.host?.id,
        () => false,
      ),
    );
  });
});

describe('strategies', () => {
  let fixture: ControlFixture;
  afterEach(() => fixture.stop());

  it('are those of the request where it names one', async () => {
    fixture = await ControlFixture.start();
    const replica = await fixture.replica();
    await fixture.host(replica, 'small', { cpu: 2, memory: 340, disk: 1_000 });
    await fixture.host(replica, 'large', { cpu: 64, memory: 100_000, disk: 100_000 });
    const create = (strategy: 'best-fit' | 'worst-fit') =>
      replica.control.createVm({ resources: SMALL, strategy }, tester);
    const tight = await create('best-fit');
    expect(tight).toMatchObject({ strategy: 'best-fit', host: { name: 'small' } });
    expect(tight.attempts[0]?.detail).toMatch(/^best-fit /);
    expect(await create('worst-fit')).toMatchObject({ host: { name: 'large' } });
    // The question by the same strategy has the same answer.
    const asked = { resources: SMALL, constraints: {}, path: 'root' };
    const chosenBy = async (strategy?: 'best-fit' | 'worst-fit') => {
      const { chosen, ...explained } = await replica.control.explain(asked, strategy);
      const host = chosen === null ? null : await replica.ports.catalogue.host(chosen);
      return [explained.strategy, host?.name];
    };
    expect(await chosenBy('best-fit')).toEqual(['best-fit', 'small']);
    expect(await chosenBy('worst-fit')).toEqual(['worst-fit', 'large']);
    expect((await chosenBy())[0]).toBe('cosine');
  });

  it('are those of the request also when a host refuses it and the next is chosen', async () => {
    fixture = await ControlFixture.start();
    const replica = await fixture.replica();
    const liar = await fixture.host(replica, 'small', { cpu: 2, memory: 340, disk: 1_000 });
    await liar.call('PATCH', '/v1/driver', { refuseClaims: true });
    await fixture.host(replica, 'large', { cpu: 64, memory: 100_000, disk: 100_000 });
    const created = await replica.control.createVm(
      { resources: SMALL, strategy: 'best-fit' },
      tester,
    );
    const { attempts, host } = await settled(replica.control, created);
    expect(host?.name).toBe('large');
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['placed', 'refused', 'placed']);
    expect(attempts.at(-1)?.detail).toMatch(/^best-fit /);
  });
});
