/** What runs without a record, what is recorded and missing, and what people make of the former. */
import { describe, expect, it } from '@jest/globals';
import type { AgentVm } from '../../src/model/agent-report.js';
import type { Host } from '../../src/model/host.js';
import type { Orphan } from '../../src/model/stores/orphans.js';
import type { Vm } from '../../src/model/vm.js';
import { TESTER } from '../support/callers.js';
import {
  failureOf,
  fresh,
  hostNow,
  itemFor,
  outcomeKinds,
  placedVm,
  recordAll,
  saveOne,
  take,
  takeAll,
  upHost,
} from './builders.js';
import type { Subject } from './catalogue-contract.js';
import { saysOf, tell } from './reporting.js';

const stranger = (changes: Partial<AgentVm> = {}): AgentVm => ({
  id: fresh('stranger'),
  assignment: 7,
  state: 'running',
  resources: { cpu: 3, memory: 5 },
  reason: null,
  ...changes,
});

export function describeOrphans(subject: Subject): void {
  const orphansOn = async (host: Host): Promise<readonly Orphan[]> =>
    (await subject().orphans()).filter((orphan) => orphan.host.id === host.id);

  /** A stranger that two reports have named. */
  const confirmed = async (host: Host, changes: Partial<AgentVm> = {}): Promise<AgentVm> => {
    const vm = stranger(changes);
    await tell(subject(), host, [vm]);
    await tell(subject(), host, [vm]);
    return vm;
  };

  const runningVm = async (host: Host): Promise<Vm> => {
    const vm = await placedVm(subject(), host);
    await take(subject(), 'me', vm.id);
    const running = { state: 'running' as const, reason: null, hasRun: true, nextInMs: null };
    return (await saveOne(subject(), 'me', vm.id, running))!;
  };

  const deletedVm = async (host: Host): Promise<Vm> => {
    const vm = await runningVm(host);
    await subject().want(vm.id, 'deleted', TESTER);
    await take(subject(), 'me', vm.id);
    await subject().releaseVm('me', vm.id, { state: 'deleted', reason: null });
    return vm;
  };

  const askedAt = async (host: Host): Promise<Date> =>
    (await subject().contacts(host.id))[0]!.askedAt;

  /** Who did what to it, as the audit log has it. */
  const notedOf = async (id: string): Promise<readonly string[]> => {
    const { items } = await subject().audit({ limit: 10, cursor: null, subject: id });
    return items.map(({ actor, action, subject: { kind } }) => `${actor.id} ${action} ${kind}`);
  };

  const adoption = (host: Host, vmId: string) => ({
    hostId: host.id,
    vmId,
    name: 'web-7',
    path: 'acme:web',
    bookingId: fresh('booking'),
  });

  describe('a VM without a record', () => {
    it('takes room away at the second report that names it, and gives it back when it goes', async () => {
      const host = await upHost(subject(), { cpu: 10, memory: 10, disk: 10 });
      const vm = stranger();
      expect((await tell(subject(), host, [vm])).host).toBeNull();
      expect(await orphansOn(host)).toEqual([]);
      expect(await hostNow(subject(), host.id)).toMatchObject({ orphaned: {} });

      const noted = await tell(subject(), host, [vm]);
      expect(noted.host).toMatchObject({ id: host.id, orphaned: { cpu: 3, memory: 5 } });
      expect(noted.host!.revision).toBeGreaterThan(host.revision);
      expect(await orphansOn(host)).toMatchObject([
        {
          host: { id: host.id, name: host.name },
          vmId: vm.id,
          state: 'running',
          resources: vm.resources,
          assignment: 7,
          recordedOn: null,
          leaving: false,
        },
      ]);
      const tooMuch = itemFor(host, { resources: { cpu: 8, memory: 1, disk: 1 } });
      const enough = itemFor(host, { resources: { cpu: 7, memory: 1, disk: 1 } });
      expect(outcomeKinds(await recordAll(subject(), [tooMuch, enough]))).toEqual([
        'over_limit',
        'recorded',
      ]);
      expect((await tell(subject(), host, [vm])).host).toBeNull();

      expect((await tell(subject(), host, [])).host).toMatchObject({ orphaned: {} });
      expect(await orphansOn(host)).toEqual([]);
      expect(outcomeKinds(await recordAll(subject(), [itemFor(host)]))).toEqual(['recorded']);
    });

    it('is none when one report names it, one does not, and one does again', async () => {
      const host = await upHost(subject());
      const vm = stranger();
      for (const said of [[vm], [], [vm]]) await tell(subject(), host, said);
      expect(await orphansOn(host)).toEqual([]);
      await tell(subject(), host, [vm]);
      expect(await orphansOn(host)).toHaveLength(1);
    });

    it('is shown with the host that its id is recorded on', async () => {
      const [host, other] = [await upHost(subject()), await upHost(subject())];
      const vm = await runningVm(other);
      await confirmed(host, { id: vm.id });
      expect(await orphansOn(host)).toMatchObject([
        { vmId: vm.id, recordedOn: { id: other.id, name: other.name } },
      ]);
      expect(await orphansOn(other)).toEqual([]);
    });

    it('is no VM that was deleted after the report was asked for', async () => {
      const host = await upHost(subject());
      const before = await askedAt(host);
      const vm = await deletedVm(host);
      const said = [saysOf(vm, 'stopping')];
      for (const _ of [1, 2, 3]) await tell(subject(), host, said, { askedAt: before });
      expect(await orphansOn(host)).toEqual([]);
      // Asked for after that, the same reports mean that it is still there.
      const after = await askedAt(host);
      for (const _ of [1, 2]) await tell(subject(), host, said, { askedAt: after });
      expect(await orphansOn(host)).toHaveLength(1);
    });

    it('counts by the last report of its host, and by no older one', async () => {
      const host = await upHost(subject());
      const vm = await confirmed(host);
      const old = { bootId: 'boot-1', report: 2 };
      expect(await subject().noteStrangers(host.id, old, [], null)).toEqual({
        host: null,
        leaving: [],
      });
      expect(await orphansOn(host)).toHaveLength(1);
      expect(vm.id).toBe((await orphansOn(host))[0]!.vmId);
    });

    it('of an absurd size leaves a host that can be counted with', async () => {
      const host = await upHost(subject());
      const huge = { cpu: Number.MAX_SAFE_INTEGER };
      const vms = [stranger({ resources: huge }), stranger({ resources: huge })];
      for (const _ of [1, 2]) await tell(subject(), host, vms);
      expect(await hostNow(subject(), host.id)).toMatchObject({ orphaned: huge });
      expect(outcomeKinds(await recordAll(subject(), [itemFor(host)]))).toEqual(['over_limit']);
    });
  });

  describe('an adoption', () => {
    it('makes it a VM there, above the assignment of the agent, whether it fits or not', async () => {
      const host = await upHost(subject(), { cpu: 2, memory: 2, disk: 2 });
      const { epoch } = await subject().epoch();
      const { id } = await confirmed(host, { assignment: 900_000 });
      const vm = await subject().adoptOrphan(adoption(host, id), TESTER);
      expect(vm).toMatchObject({
        id,
        name: 'web-7',
        path: 'acme:web',
        state: 'placed',
        desiredState: 'running',
        host: { id: host.id },
        resources: { cpu: 3, memory: 5 },
        hasRun: true,
      });
      expect(vm.allocation!.assignment).toBeGreaterThan(900_000);
      const now = await hostNow(subject(), host.id);
      expect(now).toMatchObject({ allocated: { cpu: 3, memory: 5 }, orphaned: {}, vms: 1 });
      expect(await orphansOn(host)).toEqual([]);
      expect(await notedOf(id)).toEqual(['tester orphan.adopt vm']);
      // No ledger is believed that does not know of it.
      const after = await subject().epoch();
      expect(after).toMatchObject({ incarnation: null });
      expect(after.epoch).toBeGreaterThan(epoch);
      expect(await take(subject(), 'me', id)).toMatchObject({ vm: { id } });
      // Whoever is placed next is above it, too.
      const next = await placedVm(subject(), await upHost(subject()));
      expect(next.allocation!.assignment).toBeGreaterThan(vm.allocation!.assignment);
      expect(await failureOf(subject().adoptOrphan(adoption(host, id), TESTER))).toMatchObject({
        code: 'not_found',
      });
    });

    it('wants a stopped one stopped', async () => {
      const host = await upHost(subject());
      const { id } = await confirmed(host, { state: 'stopped' });
      const vm = await subject().adoptOrphan(adoption(host, id), TESTER);
      expect(vm.desiredState).toBe('stopped');
    });

    it('is refused for what one report has named, or runs elsewhere, has failed, or is on its way out', async () => {
      const [host, other] = [await upHost(subject()), await upHost(subject())];
      const adopt = (id: string) =>
        failureOf(subject().adoptOrphan(adoption(host, id), TESTER)).then(({ code }) => code);
      const once = stranger();
      const twin = stranger({ id: (await runningVm(other)).id });
      const failed = stranger({ state: 'failed' });
      const beyond = stranger({ assignment: 2 ** 52 + 1 });
      const leaving = stranger();
      for (const _ of [1, 2]) await tell(subject(), host, [twin, failed, beyond, leaving]);
      await tell(subject(), host, [twin, failed, beyond, leaving, once]);
      await subject().dismissOrphan(host.id, leaving.id, TESTER);
      expect({
        once: await adopt(once.id),
        nobody: await adopt('no-such-vm'),
        twin: await adopt(twin.id),
        failed: await adopt(failed.id),
        beyond: await adopt(beyond.id),
        leaving: await adopt(leaving.id),
      }).toEqual({
        once: 'not_found',
        nobody: 'not_found',
        twin: 'id_conflict',
        failed: 'state_conflict',
        beyond: 'state_conflict',
        leaving: 'state_conflict',
      });
      expect((await hostNow(subject(), host.id)).vms).toBe(0);
    });

    it('takes an id back that was deleted by its record only', async () => {
      const host = await upHost(subject());
      const { id } = await confirmed(host, { id: (await deletedVm(host)).id });
      expect(await subject().adoptOrphan(adoption(host, id), TESTER)).toMatchObject({ id });
      expect(await subject().vm(id)).toMatchObject({ state: 'placed' });
    });
  });

  describe('an orphan that is to go', () => {
    it('is told so at each report that names it', async () => {
      const host = await upHost(subject());
      const vm = await confirmed(host);
      expect(await subject().dismissOrphan(host.id, 'no-such-vm', TESTER)).toBeNull();
      expect(await subject().dismissOrphan(host.id, vm.id, TESTER)).toMatchObject({
        vmId: vm.id,
        leaving: true,
      });
      expect(await notedOf(vm.id)).toEqual(['tester orphan.destroy orphan']);
      const { leaving } = await tell(subject(), host, [{ ...vm, assignment: 9 }]);
      expect(leaving).toEqual([{ vmId: vm.id, assignment: 9 }]);
      expect(await subject().forgetOrphan(host.id, vm.id)).toMatchObject({ orphaned: {} });
      expect(await subject().forgetOrphan(host.id, vm.id)).toBeNull();
      expect(await orphansOn(host)).toEqual([]);
    });
  });

  describe('a recorded VM that its host does not name', () => {
    const missingOn = async (host: Host) =>
      (await subject().missingVms()).filter((missing) => missing.host.id === host.id);

    it('is marked at the second report in a row, and forgotten when it is back', async () => {
      const host = await upHost(subject());
      const vm = await runningVm(host);
      await tell(subject(), host, []);
      await tell(subject(), host, [saysOf(vm, 'running')]);
      await tell(subject(), host, []);
      expect(await subject().vm(vm.id)).toMatchObject({ state: 'running' });
      expect(await missingOn(host)).toEqual([]);
      await tell(subject(), host, []);
      expect(await subject().vm(vm.id)).toMatchObject({
        state: 'unknown',
        reason: { code: 'missing_on_host' },
        allocation: vm.allocation,
      });
      expect(await missingOn(host)).toMatchObject([
        { vm: { id: vm.id, name: vm.name }, host: { id: host.id }, strikes: 2 },
      ]);
      await tell(subject(), host, [saysOf(vm, 'running')]);
      expect(await subject().vm(vm.id)).toMatchObject({ state: 'running' });
      expect(await missingOn(host)).toEqual([]);
    });

    it('is made anew under a new assignment where that is configured', async () => {
      const host = await upHost(subject());
      const vm = await runningVm(host);
      await tell(subject(), host, [], { onMissing: 'recreate' });
      expect(await take(subject(), 'me', vm.id)).toBeNull();
      await tell(subject(), host, [], { onMissing: 'recreate' });
      const item = await take(subject(), 'me', vm.id);
      expect(item?.vm).toMatchObject({
        state: 'placed',
        hasRun: false,
        host: { id: host.id },
        allocation: { bookingId: vm.allocation!.bookingId },
      });
      expect(item!.vm.allocation!.assignment).toBeGreaterThan(vm.allocation!.assignment);
      expect(await missingOn(host)).toEqual([]);
      expect((await hostNow(subject(), host.id)).allocated).toEqual(vm.resources);
    });

    it('is not missed by a report that was asked for before it ran', async () => {
      const host = await upHost(subject());
      const before = await askedAt(host);
      const vm = await runningVm(host);
      for (const _ of [1, 2, 3]) await tell(subject(), host, [], { askedAt: before });
      expect(await subject().vm(vm.id)).toMatchObject({ state: 'running' });
      const after = await askedAt(host);
      for (const _ of [1, 2]) await tell(subject(), host, [], { askedAt: after });
      expect(await subject().vm(vm.id)).toMatchObject({ state: 'unknown' });
    });
  });

  describe('a VM whose host knows a newer assignment than the catalogue', () => {
    it('gets one above that at the second report that says so', async () => {
      const host = await upHost(subject());
      const vm = await runningVm(host);
      const newer = { ...saysOf(vm, 'running'), assignment: 5_000_000 };
      await tell(subject(), host, [newer]);
      expect(await subject().vm(vm.id)).toMatchObject({ allocation: vm.allocation });
      await tell(subject(), host, [newer]);
      const item = await take(subject(), 'me', vm.id);
      expect(item?.vm).toMatchObject({ state: 'placed', hasRun: true });
      expect(item!.vm.allocation!.assignment).toBeGreaterThan(5_000_000);
    });

    it('is not led on by numbers that no host can have been given', async () => {
      const host = await upHost(subject());
      const vm = await runningVm(host);
      const absurd = { ...saysOf(vm, 'running'), assignment: Number.MAX_SAFE_INTEGER };
      for (const _ of [1, 2, 3]) await tell(subject(), host, [absurd]);
      expect(await subject().vm(vm.id)).toMatchObject({ allocation: vm.allocation });
    });

    it('gets one above the number that an order was refused with, while the lease holds', async () => {
      const host = await upHost(subject());
      const vm = await placedVm(subject(), host);
      const known = vm.allocation!.assignment;
      expect(await subject().renewAssignment('nobody', vm.id, known + 50)).toBe(false);
      expect(await subject().vm(vm.id)).toMatchObject({ allocation: { assignment: known } });
      await take(subject(), 'me', vm.id);
      expect(await subject().renewAssignment('me', vm.id, known + 50)).toBe(true);
      const item = await take(subject(), 'other', vm.id);
      expect(item!.vm.allocation!.assignment).toBeGreaterThan(known + 50);
      expect(item!.vm.state).toBe('placed');
    });
  });

  describe('a VM of which nobody knows how it is, and whose host knows an older assignment', () => {
    it('is asked for under its own, unless the report may be from before', async () => {
      const host = await upHost(subject());
      const vm = await runningVm(host);
      const before = await askedAt(host);
      for (const _ of [1, 2]) await tell(subject(), host, [], { askedAt: await askedAt(host) });
      expect(await subject().vm(vm.id)).toMatchObject({ state: 'unknown' });
      const older = { ...saysOf(vm, 'stopped'), assignment: vm.allocation!.assignment - 1 };
      await tell(subject(), host, [older], { askedAt: before });
      expect(await subject().vm(vm.id)).toMatchObject({ state: 'unknown' });
      await tell(subject(), host, [older], { askedAt: await askedAt(host) });
      const item = await take(subject(), 'me', vm.id);
      expect(item?.vm).toMatchObject({
        state: 'placed',
        hasRun: true,
        reason: { code: 'stale_assignment' },
        allocation: vm.allocation,
      });
    });

    it('while it is known how it is, the report says nothing', async () => {
      const host = await upHost(subject());
      const vm = await runningVm(host);
      const older = { ...saysOf(vm, 'stopped'), assignment: vm.allocation!.assignment - 1 };
      await tell(subject(), host, [older], { askedAt: await askedAt(host) });
      expect(await subject().vm(vm.id)).toMatchObject({ state: 'running' });
    });
  });

  it('numbers never go back, whoever raises them', async () => {
    const host = await upHost(subject());
    await takeAll(subject(), 'earlier');
    const vms = await Promise.all([1, 2, 3, 4, 5].map(() => placedVm(subject(), host)));
    await takeAll(subject(), 'me');
    const above = 20_000_000;
    await Promise.all(
      vms.map(({ id }, index) => subject().renewAssignment('me', id, above - index * 10_000)),
    );
    const now = await Promise.all(vms.map(({ id }) => subject().vm(id)));
    const numbers = now.map((vm) => vm!.allocation!.assignment);
    numbers.forEach((number, index) => {
      expect(number).toBeGreaterThan(above - index * 10_000);
    });
    expect(new Set(numbers).size).toBe(numbers.length);
    const next = await placedVm(subject(), host);
    expect(next.allocation!.assignment).toBeGreaterThan(Math.max(...numbers));
  });
}
