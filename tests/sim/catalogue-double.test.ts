/** The catalogue's double: the contract of the real one, and what only a double promises. */
import { describe, expect, it } from '@jest/globals';
import { catalogueDouble, type CatalogueDouble } from '../../src/sim/catalogue/catalogue.js';
import { TESTER } from '../support/callers.js';
import {
  hostNow,
  itemFor,
  joinRequest,
  placedVm,
  recordAll,
  reportOf,
  saveOne,
  takeAll,
  upHost,
} from '../catalogue/builders.js';
import { describeCatalogue } from '../catalogue/catalogue-contract.js';
import { tell } from '../catalogue/reporting.js';

/** Numbered ids in the form of those that a database draws. */
function numberedIds(): () => string {
  let drawn = 0;
  return () => {
    drawn += 1;
    return `00000000-0000-4000-8000-${drawn.toString(16).padStart(12, '0')}`;
  };
}

/**
 * The contract waits in real time, and knows that a call of a real database takes a millisecond: so
 * this clock is later by one each time that it is looked at.
 */
function steppingClock(): { now(): number } {
  let looks = 0;
  return {
    now() {
      looks += 1;
      return Date.now() + looks;
    },
  };
}

const opened = (): CatalogueDouble =>
  catalogueDouble({ clock: steppingClock(), newId: numberedIds(), missingGraceMs: 0 });

describeCatalogue(
  'the double',
  async () => {
    const { catalogue } = opened();
    return { catalogue, close: () => catalogue.close() };
  },
  5_000,
);

describe('the double', () => {
  /** What happens when the same is done again, from the first call to the last. */
  const story = async () => {
    let nowMs = 1_000;
    const clock = { now: () => nowMs };
    const { catalogue } = catalogueDouble({ clock, newId: numberedIds(), missingGraceMs: 0 });
    const named = { id: 'host-a', name: 'a', address: 'http://host-a:1', credential: 'c' };
    const request = joinRequest(named);
    const joined = await catalogue.joinHost(request, TESTER);
    const status = reportOf(joined, { report: 1 });
    const liveness = { state: 'up' as const, missedPolls: 0 };
    await catalogue.saveHostPolls([
      { hostId: joined.id, address: request.address, ...liveness, status },
    ]);
    const items = ['vm-1', 'vm-2'].map((vmId) => {
      const item = itemFor(joined, { vmId });
      return { ...item, booking: { ...item.booking, bookingId: `booking of ${vmId}` } };
    });
    await catalogue.record(1, 1, items);
    nowMs += 5;
    const taken = await catalogue.takeWork('mine', 9, 100);
    await catalogue.want('vm-1', 'deleted', TESTER);
    await catalogue.releaseVm('mine', 'vm-1', { state: 'deleted', reason: null });
    const { head } = await catalogue.sequenceEvents();
    const range = { after: 0, upTo: head.position, filter: {}, limit: 100 };
    const audit = await catalogue.audit({ limit: 100, cursor: null });
    return { taken, events: await catalogue.events(range), audit, all: await catalogue.snapshot() };
  };

  it('does the same when the same is done', async () => {
    const first = await story();
    expect(first.events.length).toBeGreaterThan(4);
    expect(await story()).toEqual(first);
  });

  it('answers in microtasks alone', async () => {
    const { catalogue } = opened();
    const order: string[] = [];
    const timer = new Promise<void>((resolve) => {
      setImmediate(() => {
        order.push('the next turn');
        resolve();
      });
    });
    const host = await upHost(catalogue);
    await placedVm(catalogue, host);
    order.push('all answers');
    await timer;
    expect(order).toEqual(['all answers', 'the next turn']);
  });

  it('shares nothing with its callers', async () => {
    const { catalogue } = opened();
    const host = await upHost(catalogue);
    const resources = { cpu: 1, memory: 1 };
    const labels = { required: { disk: 'ssd' } };
    const item = itemFor(host, { resources });
    const constrained = { ...item, spec: { ...item.spec, constraints: { labels } } };
    const [outcome] = await recordAll(catalogue, [constrained]);
    if (outcome?.kind !== 'recorded') throw new Error('it was not recorded');
    const before = await catalogue.vm(outcome.vm.id);
    resources.cpu = 99;
    labels.required.disk = 'none';
    outcome.vm.createdAt.setFullYear(1970);
    outcome.vm.attempts[0]?.at.setFullYear(1970);
    expect(() => Object.assign(outcome.vm.resources, { cpu: 99 })).toThrow(TypeError);
    expect(await catalogue.vm(outcome.vm.id)).toEqual(before);
    expect(before?.resources).toEqual({ cpu: 1, memory: 1 });
    expect((await hostNow(catalogue, host.id)).allocated).toEqual({ cpu: 1, memory: 1 });
  });

  it('keeps nothing of a call that its tables refuse', async () => {
    const { catalogue, tables } = opened();
    const host = await upHost(catalogue);
    const [first, second] = [await placedVm(catalogue, host), await placedVm(catalogue, host)];
    await takeAll(catalogue, 'mine');
    const running = { state: 'running' as const, reason: null, nextInMs: null };
    const before = [...tables.vms.rows()];
    const told = tables.outbox.rows.length;
    // A VM that has failed holds no host: the second refuses the whole statement.
    const found = [
      { vmId: first.id, lease: 'mine', progress: running },
      { vmId: second.id, lease: 'mine', progress: { ...running, state: 'failed' as const } },
    ];
    await expect(catalogue.saveProgress(found)).rejects.toThrow('violates a check');
    expect([...tables.vms.rows()]).toEqual(before);
    expect(tables.outbox.rows).toHaveLength(told);
    expect((await catalogue.saveProgress(found.slice(0, 1))).size).toBe(1);
  });

  it('is not sure of what changed in the same instant in which a report was asked for', async () => {
    const { catalogue } = catalogueDouble({ clock: { now: () => 1_000 }, newId: numberedIds() });
    const host = await upHost(catalogue);
    const [contact] = await catalogue.contacts(host.id);
    const vm = await placedVm(catalogue, host);
    await takeAll(catalogue, 'mine');
    const running = { state: 'running' as const, reason: null, hasRun: true, nextInMs: null };
    await saveOne(catalogue, 'mine', vm.id, running);
    const askedAt = contact!.askedAt;
    for (const _ of [1, 2, 3]) await tell(catalogue, host, [], { askedAt });
    expect(await catalogue.vm(vm.id)).toMatchObject({ state: 'running' });
  });
});
