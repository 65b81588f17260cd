/** The waiting room, as one control plane and three see it. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Vm } from '../../src/model/vm.js';
import type { CreateVmInput } from '../../src/control/control.js';
import { CHECKS_MAX } from '../../src/control/pick-waiting.js';
import { tester, TESTER } from '../support/callers.js';
import { ControlFixture, eventually, settled, type TestReplica } from './control-fixture.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };
const GIANT = { cpu: 1, memory: 9_000, disk: 100 };
/** Room for exactly three of `SMALL`. */
const TIGHT = { cpu: 16, memory: 340, disk: 10_000 };
const LEASE = 'waiting-room';
const CORDONED = { mode: 'cordoned', reason: 'test', owner: null, endsInMs: null } as const;
const ENABLED = { mode: 'enabled', reason: null, owner: null, endsInMs: null } as const;

describe('the waiting room', () => {
  let fixture: ControlFixture;
  let replica: TestReplica;
  beforeEach(async () => {
    fixture = await ControlFixture.start();
    replica = await fixture.replica();
  });
  afterEach(() => fixture.stop());

  const create = (input: Partial<CreateVmInput> = {}, by = replica) =>
    by.control.createVm({ resources: SMALL, ...input }, tester);
  const queue = (input: Partial<CreateVmInput> = {}, by = replica) =>
    create({ whenFull: 'queue', ...input }, by);
  const now = async (id: string): Promise<Vm> => {
    const vm = await replica.ports.catalogue.vm(id);
    if (vm === null) throw new Error(`there is no VM ${id}`);
    return vm;
  };
  const placed = ({ id }: Vm) =>
    eventually(`a host for ${id}`, async () => (await now(id)).host !== null);
  const full = async (name = 'oak') => {
    const agent = await fixture.host(replica, name, TIGHT);
    const vms = await Promise.all([create(), create(), create()]);
    return { agent, vms };
  };
  const free = (vm: Vm | undefined) => replica.control.deleteVm(vm?.id ?? '', tester);
  const fits = async (resources: Vm['resources']) => {
    const asked = { resources, constraints: {}, path: 'root' };
    return (await replica.control.explain(asked)).chosen !== null;
  };
  /** As if another replica were at it, and slow. */
  const heldBy = (holder: string, ttlMs: number) =>
    eventually('the lease', () => replica.ports.catalogue.acquireLease(LEASE, holder, ttlMs));
  const LONG_MS = 600_000;
  const enter = (id: string, resources: Vm['resources']) =>
    replica.ports.catalogue.enqueueVm({
      spec: {
        id,
        name: id,
        path: 'root',
        resources,
        image: null,
        users: [],
        constraints: {},
        onHostLoss: 'keep',
      },
      requestHash: id,
      strategy: null,
      waitMs: LONG_MS,
      by: TESTER,
    });
  /** All of them of other sizes. A few at once: each needs a connection, and soon. */
  const enterGiants = async (count: number) => {
    const numbers = Array.from({ length: count }, (_, number) => number);
    while (numbers.length > 0) {
      await Promise.all(
        numbers
          .splice(0, 20)
          .map((number) => enter(`giant-${number.toString()}`, { ...GIANT, disk: 100 + number })),
      );
    }
  };

  it('takes in what no host can take, with a deadline and without a booking', async () => {
    await full();
    await expect(create()).rejects.toMatchObject({ code: 'no_feasible_host' });
    const vm = await queue({ deadlineS: 600 });
    expect(vm).toMatchObject({ state: 'waiting', desiredState: 'running', host: null });
    expect(vm.allocation).toBeNull();
    const leftMs = (vm.waitUntil?.getTime() ?? 0) - vm.createdAt.getTime();
    expect(leftMs).toBeGreaterThan(599_000);
    expect(leftMs).toBeLessThan(601_000);
  });

  it('is left at once when a VM is deleted', async () => {
    const { vms } = await full();
    const vm = await queue();
    await free(vms[0]);
    await placed(vm);
    expect(await settled(replica.control, vm)).toMatchObject({
      state: 'running',
      host: { name: 'oak' },
      waitUntil: null,
      reason: null,
    });
    expect(replica.counted).toContainEqual({
      name: 'berth_waited_total',
      labels: { outcome: 'placed' },
    });
  });

  it('is left when a host joins', async () => {
    const vm = await queue();
    expect(vm.state).toBe('waiting');
    await fixture.host(replica, 'oak', TIGHT);
    await placed(vm);
  });

  it('is left when a host is uncordoned', async () => {
    await fixture.host(replica, 'oak', TIGHT);
    await replica.control.patchHost('oak', { mode: CORDONED }, tester);
    const vm = await queue();
    expect(vm.state).toBe('waiting');
    await replica.control.patchHost('oak', { mode: ENABLED }, tester);
    await placed(vm);
  });

  it('lets nobody wait behind one that fits nowhere, and keeps the order of the others', async () => {
    const { vms } = await full();
    const giant = await queue({ resources: GIANT });
    const line = [await queue(), await queue(), await queue()];
    for (const [index, vm] of vms.entries()) {
      await free(vm);
      const next = line[index];
      if (next === undefined) throw new Error('nobody is next');
      await placed(next);
      for (const later of line.slice(index + 1)) {
        expect((await now(later.id)).state).toBe('waiting');
      }
    }
    expect((await now(giant.id)).state).toBe('waiting');
  });

  it('gives room to an earlier one that fits rather than to a later one', async () => {
    const large = await queue({ resources: { ...SMALL, memory: 250 } });
    const small = await queue();
    expect([large.state, small.state]).toEqual(['waiting', 'waiting']);
    await fixture.host(replica, 'oak', TIGHT);
    await placed(large);
    expect((await now(small.id)).state).toBe('waiting');
  });

  it('keeps the order of arrival over three replicas', async () => {
    const others = [replica, await fixture.replica(), await fixture.replica()];
    const line: Vm[] = [];
    for (let turn = 0; turn < 9; turn += 1) {
      const by = others[turn % others.length] ?? replica;
      line.push(await queue({ name: `vm-${turn.toString()}` }, by));
    }
    await fixture.host(replica, 'oak', { cpu: 16, memory: 10_000, disk: 10_000 });
    for (const vm of line) await placed(vm);
    const assignments = await Promise.all(
      line.map(async ({ id }) => (await now(id)).allocation?.assignment ?? 0),
    );
    expect(assignments).toEqual([...assignments].sort((a, b) => a - b));
  });

  it('is not passed by those who are ready to wait, and may be by those who are not', async () => {
    const { vms } = await full();
    await heldBy('somebody slow', LONG_MS);
    const first = await queue();
    await free(vms[0]);
    await free(vms[1]);
    await eventually('room', () => fits({ ...SMALL, memory: 200 }));
    const second = await queue();
    expect(second.state).toBe('waiting');
    expect(await create()).toMatchObject({ host: { name: 'oak' } });
    await replica.ports.catalogue.releaseLease(LEASE, 'somebody slow');
    await placed(first);
    expect((await now(second.id)).state).toBe('waiting');
  });

  it('goes on when the replica that places has died', async () => {
    const { vms } = await full();
    await heldBy('a dead replica', LONG_MS);
    const vm = await queue();
    await free(vms[0]);
    await eventually('room', () => fits(SMALL));
    expect((await now(vm.id)).state).toBe('waiting');
    await heldBy('a dead replica', 200);
    await placed(vm);
  });

  it('takes in those of a batch that find no host, each for itself', async () => {
    await fixture.host(replica, 'oak', TIGHT);
    const inputs = Array.from({ length: 5 }, () => ({
      resources: SMALL,
      whenFull: 'queue' as const,
    }));
    const outcomes = await replica.control.createVms(inputs, { partial: true }, tester);
    const states = outcomes.map((outcome) =>
      outcome.status === 'placed' ? outcome.vm.state : outcome.error.code,
    );
    expect(states.sort()).toEqual(['placed', 'placed', 'placed', 'waiting', 'waiting']);
    await expect(
      replica.control.createVms(inputs, { partial: false }, tester),
    ).rejects.toMatchObject({ code: 'invalid_request', errors: [{ field: 'whenFull' }] });
  });

  it('ends at the deadline', async () => {
    const vm = await queue({ deadlineS: 1 });
    expect(await settled(replica.control, vm)).toMatchObject({
      state: 'failed',
      reason: { code: 'wait_deadline' },
      waitUntil: null,
    });
    expect(replica.counted).toContainEqual({
      name: 'berth_waited_total',
      labels: { outcome: 'deadline' },
    });
  });

  it('is left by a delete, and by nothing else that is asked', async () => {
    const vm = await queue();
    await expect(replica.control.startVm(vm.id, tester)).rejects.toMatchObject({
      code: 'state_conflict',
    });
    await expect(replica.control.stopVm(vm.id, tester)).rejects.toMatchObject({
      code: 'state_conflict',
    });
    await replica.control.deleteVm(vm.id, tester);
    await eventually('its end', async () => (await replica.ports.catalogue.vm(vm.id)) === null);
    await fixture.host(replica, 'oak', TIGHT);
    const totals = await replica.ports.ledger.totals();
    expect([...totals.values()].every(({ cpu = 0 }) => cpu === 0)).toBe(true);
  });

  it('takes a request in once, whatever has become of it', async () => {
    const first = await queue({ id: 'twin' });
    expect(await queue({ id: 'twin' })).toEqual(first);
    await expect(queue({ id: 'twin', deadlineS: 5 })).rejects.toMatchObject({
      code: 'id_conflict',
    });
    await fixture.host(replica, 'oak', TIGHT);
    await placed(first);
    expect(await queue({ id: 'twin' })).toMatchObject({ id: 'twin', host: { name: 'oak' } });
    expect((await replica.ports.catalogue.host('oak'))?.vms).toBe(1);
  });

  it('places whom it holds up to when the ledger was away', async () => {
    const { vms } = await full();
    const vm = await queue();
    await fixture.redis.client().flushall();
    await free(vms[0]);
    await placed(vm);
  });

  it('is not blocked by one that seems to fit and is refused again and again', async () => {
    const cursed = await fixture.replica(({ catalogue }) => ({
      catalogue: {
        ...catalogue,
        async record(epoch, seq, items) {
          const others = items.filter(({ spec }) => spec.id !== 'cursed');
          const reply = await catalogue.record(epoch, seq, others);
          if (reply.kind !== 'done') return reply;
          const outcomes = [...reply.outcomes];
          const gone = { kind: 'gone' } as const;
          return {
            kind: 'done',
            outcomes: items.map(({ spec }) =>
              spec.id === 'cursed' ? gone : (outcomes.shift() ?? gone),
            ),
          };
        },
      },
    }));
    await replica.control.stop();
    await enter('cursed', SMALL);
    // More than are looked at in one go.
    await enterGiants(CHECKS_MAX + 2);
    await enter('small', SMALL);
    await fixture.host(cursed, 'oak', TIGHT);
    await eventually('a host for the last', async () => (await now('small')).host !== null);
    expect((await now('cursed')).state).toBe('waiting');
  });

  it('finds those who fit behind a long line of those who do not', async () => {
    const { catalogue } = replica.ports;
    // More than one page of them.
    const giants = 1_050;
    await enterGiants(giants);
    await enter('small', SMALL);
    await fixture.host(replica, 'oak', TIGHT);
    await eventually('a host for the last', async () => (await now('small')).host !== null);
    expect(await catalogue.waitingLine()).toMatchObject({ count: giants });
  }, 60_000);
});
