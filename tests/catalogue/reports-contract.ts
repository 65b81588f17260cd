/** What a host's report makes of its VMs. */
import { describe, expect, it } from '@jest/globals';
import type { AgentVm } from '../../src/model/agent-report.js';
import { AGENT_VM_STATES } from '../../src/model/agent-report.js';
import { DESIRED_STATES, type Reason, type Vm, type VmState } from '../../src/model/vm.js';
import { nextStep } from '../../src/model/vm-lifecycle.js';
import {
  fresh,
  itemFor,
  missedPoll,
  placedVm,
  recordAll,
  reportOf,
  take,
  takeAll,
  upHost,
  saveOne,
} from './builders.js';
import type { Subject } from './catalogue-contract.js';
import { saysOf, tell } from './reporting.js';

const STATES = [
  'placed',
  'creating',
  'running',
  'stopping',
  'stopped',
  'starting',
  'deleting',
  'unknown',
] as const satisfies readonly VmState[];

const SAID: Reason = { code: 'crashed', detail: 'it ended by itself' };

/** The table of reports.ts, told in other words. */
function stateAfter(vm: Vm, said: AgentVm['state'] | null): VmState {
  if (vm.desiredState === 'deleted') return vm.state;
  if (said === null) {
    const onItsWay = vm.state === 'placed' || vm.state === 'creating';
    return vm.hasRun && !onItsWay ? 'unknown' : vm.state;
  }
  if (said !== 'failed') return said;
  return vm.hasRun && (vm.state === 'running' || vm.state === 'unknown') ? 'stopped' : vm.state;
}

export function describeReports(subject: Subject): void {
  describe('reports', () => {
    it('make of every VM what the table says, and due what the lifecycle can move', async () => {
      const host = await upHost(subject());
      const cases = STATES.flatMap((state) =>
        DESIRED_STATES.flatMap((desiredState) =>
          [false, true].flatMap((hasRun) =>
            [null, ...AGENT_VM_STATES].map((said) => ({
              state,
              desiredState,
              hasRun,
              said,
              item: itemFor(host),
            })),
          ),
        ),
      );
      await recordAll(
        subject(),
        cases.map(({ item }) => item),
      );
      await takeAll(subject(), 'me');
      const before = await Promise.all(
        cases.map(({ item, state, desiredState, hasRun }) =>
          saveOne(subject(), 'me', item.spec.id, {
            state,
            reason: null,
            hasRun,
            desiredState,
            nextInMs: null,
          }),
        ),
      );
      const said = cases.flatMap(({ said: what }, index) =>
        what === null ? [] : [saysOf(before[index]!, what, what === 'failed' ? SAID : null)],
      );
      await tell(subject(), host, said);
      // What is missing is so at the second report.
      await tell(subject(), host, said);
      const due = new Set((await takeAll(subject(), 'after')).map(({ vm }) => vm.id));

      for (const [index, { said, ...rest }] of cases.entries()) {
        const was = before[index]!;
        const now = (await subject().vm(was.id))!;
        const state = stateAfter(was, said);
        const hasRun = was.hasRun || said === 'running';
        const expected = { state, desiredState: was.desiredState, hasRun };
        const step = nextStep({ ...was, ...expected });
        const what = { said, state: rest.state, desired: rest.desiredState, hasRun: rest.hasRun };
        expect({
          ...what,
          got: { state: now.state, desiredState: now.desiredState, hasRun: now.hasRun },
          due: due.has(was.id),
        }).toEqual({ ...what, got: expected, due: step !== 'none' && step !== 'observe' });
      }
    }, 60_000);

    it('change nothing when they say what is known', async () => {
      const host = await upHost(subject());
      const vm = await placedVm(subject(), host);
      await take(subject(), 'me', vm.id);
      await saveOne(subject(), 'me', vm.id, {
        state: 'running',
        reason: null,
        hasRun: true,
        nextInMs: null,
      });
      expect((await tell(subject(), host, [saysOf(vm, 'running')])).changed).toBe(0);
      expect((await tell(subject(), host, [saysOf(vm, 'failed', SAID)])).changed).toBe(1);
      expect(await subject().vm(vm.id)).toMatchObject({ state: 'stopped', reason: SAID });
      expect((await tell(subject(), host, [saysOf(vm, 'failed', SAID)])).changed).toBe(0);
      expect((await tell(subject(), host, [])).changed).toBe(0);
      expect((await tell(subject(), host, [])).changed).toBe(1);
      expect(await subject().vm(vm.id)).toMatchObject({
        state: 'unknown',
        reason: { code: 'missing_on_host' },
      });
      expect((await tell(subject(), host, [])).changed).toBe(0);
      expect((await tell(subject(), host, [saysOf(vm, 'running')])).changed).toBe(1);
      expect(await subject().vm(vm.id)).toMatchObject({ state: 'running', reason: null });
    });

    it('have news or none, told of many at once', async () => {
      const hosts = [await upHost(subject()), await upHost(subject()), await upHost(subject())];
      const vms = await Promise.all(hosts.map((host) => placedVm(subject(), host)));
      await takeAll(subject(), 'me');
      const running = { state: 'running' as const, reason: null, hasRun: true, nextInMs: null };
      for (const { id } of vms) await saveOne(subject(), 'me', id, running);
      const [known, other, overtaken] = hosts.map(({ id }) => id);
      const states = ['running', 'stopped', 'stopped'] as const;
      const number = { bootId: 'boot-1', report: 2_000_000 };
      for (const host of hosts) {
        const last = host.id === overtaken ? { ...number, report: number.report + 1 } : number;
        await subject().saveHostReport(host.id, reportOf(host, last));
      }
      const reports = hosts.map(({ id: hostId }, at) => ({
        ...number,
        hostId,
        vms: [saysOf(vms[at]!, states[at]!)],
        askedAt: null,
      }));
      const nobody = { ...number, hostId: fresh('nobody'), vms: [], askedAt: null };
      expect(await subject().reportsWithNews([...reports, nobody])).toEqual(new Set([other]));
      const stranger = { ...saysOf(vms[0]!, 'running'), id: fresh('stranger') };
      const strange = { ...reports[0]!, vms: [...reports[0]!.vms, stranger] };
      expect(await subject().reportsWithNews([strange])).toEqual(new Set([known]));
      expect(await subject().reportsWithNews([])).toEqual(new Set());
      expect(await subject().vm(vms[1]!.id)).toMatchObject({ state: 'running' });
    });

    it('say nothing of a VM under another assignment, of another host, or leased', async () => {
      const [host, other] = [await upHost(subject()), await upHost(subject())];
      const vm = await placedVm(subject(), host);
      const old = { ...saysOf(vm, 'running'), assignment: vm.allocation!.assignment - 1 };
      await tell(subject(), host, [old]);
      await tell(subject(), other, [saysOf(vm, 'running')]);
      expect(await subject().vm(vm.id)).toMatchObject({ state: 'placed', hasRun: false });
      await take(subject(), 'me', vm.id);
      expect((await tell(subject(), host, [saysOf(vm, 'running')])).changed).toBe(0);
      expect(await subject().vm(vm.id)).toMatchObject({ state: 'placed', hasRun: false });
    });

    it('make due what waits for its next try: the host is back', async () => {
      const host = await upHost(subject());
      const vm = await placedVm(subject(), host);
      await take(subject(), 'me', vm.id);
      await saveOne(subject(), 'me', vm.id, {
        state: 'creating',
        reason: null,
        nextInMs: 600_000,
        failedTry: true,
      });
      expect(await take(subject(), 'me', vm.id)).toBeNull();
      expect((await tell(subject(), host, [])).changed).toBe(1);
      expect(await take(subject(), 'me', vm.id)).not.toBeNull();
    });

    it('take reasons with characters that a database cannot keep', async () => {
      const host = await upHost(subject());
      const vm = await placedVm(subject(), host);
      const odd = { code: 'odd', detail: 'a\u0000b\ud83d' };
      expect((await tell(subject(), host, [saysOf(vm, 'stopped', odd)])).changed).toBe(1);
      expect(await subject().vm(vm.id)).toMatchObject({
        reason: { code: 'odd', detail: 'a\ufffdb\ufffd' },
      });
    });
  });

  describe('a host that is down', () => {
    it('makes its VMs unknown; their bookings stay', async () => {
      const host = await upHost(subject());
      const [one, two] = [await placedVm(subject(), host), await placedVm(subject(), host)];
      const elsewhere = await placedVm(subject(), await upHost(subject()));
      await take(subject(), 'me', one.id);
      await subject().releaseVm('me', one.id, { state: 'failed', reason: null });
      // It has answered somebody else meanwhile.
      expect(await subject().loseVms(host.id)).toBe(0);
      await subject().saveHostPolls([missedPoll(host.id, 'down', 3)]);
      expect(await subject().loseVms(host.id)).toBe(1);
      expect(await subject().loseVms(host.id)).toBe(0);
      expect(await subject().vm(two.id)).toMatchObject({
        state: 'unknown',
        reason: { code: 'host_down' },
        allocation: two.allocation,
      });
      expect(await subject().vm(one.id)).toMatchObject({ state: 'failed' });
      expect(await subject().vm(elsewhere.id)).toMatchObject({ state: 'placed' });
    });
  });
}
