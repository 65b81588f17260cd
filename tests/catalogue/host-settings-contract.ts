/** What operators say of hosts, and what hosts report of themselves: what counts, and when. */
import { describe, expect, it } from '@jest/globals';
import type { Host, HostPatch } from '../../src/model/host.js';
import type { HostReport } from '../../src/model/ports.js';
import type { Resources } from '../../src/model/resources.js';
import { TESTER } from '../support/callers.js';
import { modePatch } from '../support/hosts.js';
import {
  answeredPoll,
  failureOf,
  hostNow,
  inventoryWith,
  joinRequest,
  missedPoll,
  placedVm,
  reportOf,
  totalsWith,
  upHost,
} from './builders.js';
import type { Subject } from './catalogue-contract.js';

const SMALL: Resources = { cpu: 8, memory: 100 };

export function describeHostSettings(subject: Subject): void {
  const patch = (host: Host, changes: HostPatch) => subject().patchHost(host.id, changes, TESTER);
  const override = (host: Host, overrides: NonNullable<HostPatch['overrides']>) =>
    patch(host, { overrides });
  /** One more report of the host with these totals. */
  const report = (host: Host, totals: Resources, changes: Partial<HostReport> = {}) =>
    subject().saveHostReport(host.id, {
      ...reportOf(host),
      totals: totalsWith(totals),
      ...changes,
    });
  const cpuOf = async (host: Host) => (await hostNow(subject(), host.id)).inventory.cpu?.total;

  describe('settings of a host', () => {
    it('go over what its agent says, at once and after each poll and join', async () => {
      const host = await upHost(subject(), SMALL);
      const patched = await override(host, {
        zone: 'z',
        labels: { rack: 'r7' },
        overcommit: { cpu: 2 },
        reserve: { memory: 0.5 },
        totals: { gpu: 4 },
      });
      const expected = {
        zone: 'z',
        labels: { disk: 'ssd', rack: 'r7' },
        inventory: {
          cpu: { total: 8, reserved: 0, overcommit: 2, source: 'configured' },
          memory: { total: 100, reserved: 50, overcommit: 1, source: 'configured' },
          gpu: { total: 4, reserved: 0, overcommit: 1, source: 'configured' },
        },
      };
      expect(patched).toMatchObject(expected);
      expect(patched!.revision).toBe(host.revision + 1);
      await subject().saveHostPolls([answeredPoll(host)]);
      expect(await hostNow(subject(), host.id)).toMatchObject(expected);
      expect((await hostNow(subject(), host.id)).revision).toBe(patched!.revision);
      const again = joinRequest({ id: host.id, name: host.name, totals: totalsWith(SMALL) });
      expect(await subject().joinHost(again, TESTER)).toMatchObject(expected);
    });

    it('are taken back one by one, and leave what the agent says', async () => {
      const host = await upHost(subject(), SMALL);
      await override(host, { zone: 'z', labels: { disk: 'hdd' }, totals: { cpu: 2 } });
      const first = await override(host, { totals: null });
      expect(first).toMatchObject({ zone: 'z', inventory: inventoryWith(SMALL) });
      const second = await override(host, { zone: null, labels: {} });
      expect(second).toMatchObject({ overrides: {}, zone: host.zone, labels: host.labels });
    });

    it('bound what is booked there from then on', async () => {
      const host = await upHost(subject(), SMALL);
      await placedVm(subject(), host, { resources: { cpu: 8 } });
      await override(host, { overcommit: { cpu: 2 } });
      await placedVm(subject(), host, { resources: { cpu: 8 } });
      await expect(placedVm(subject(), host, { resources: { cpu: 1 } })).rejects.toThrow(
        'not recorded',
      );
    });

    it('leave the mode alone, and the mode leaves them', async () => {
      const host = await upHost(subject(), SMALL);
      await patch(host, modePatch('cordoned', 'repair'));
      await override(host, { zone: 'z' });
      expect(await patch(host, modePatch('enabled'))).toMatchObject({
        mode: 'enabled',
        modeReason: null,
        zone: 'z',
      });
    });

    it('cannot bring a retired host back', async () => {
      const host = await upHost(subject(), SMALL);
      await patch(host, modePatch('retired'));
      expect((await failureOf(patch(host, modePatch('enabled')))).code).toBe('state_conflict');
      expect((await failureOf(override(host, { zone: 'z' }))).code).toBe('state_conflict');
    });

    it('are not lost between a poll and a patch that come at once', async () => {
      const host = await upHost(subject(), SMALL);
      const calls = Array.from({ length: 20 }, (_, at) => [
        override(host, { totals: { gpu: at + 1 } }),
        subject().saveHostPolls([answeredPoll(host)]),
      ]);
      await Promise.all(calls.flat());
      const after = await hostNow(subject(), host.id);
      expect(after.overrides.totals?.gpu).toBeGreaterThan(0);
      expect(after.inventory.gpu?.total).toBe(after.overrides.totals?.gpu);
    });
  });

  describe('cordons', () => {
    it('name an owner and an end, and end by themselves', async () => {
      const [short, long, forever] = [
        await upHost(subject()),
        await upHost(subject()),
        await upHost(subject()),
      ];
      const cordon = (host: Host, endsInMs: number | null) =>
        patch(host, { mode: { mode: 'cordoned', reason: 'repair', owner: 'jo', endsInMs } });
      await cordon(short, 0);
      const waiting = await cordon(long, 3_600_000);
      await cordon(forever, null);
      expect(waiting).toMatchObject({ modeOwner: 'jo', modeReason: 'repair' });
      expect(waiting!.modeUntil!.getTime() - Date.now()).toBeGreaterThan(3_000_000);
      const ended = (await subject().endCordons()).filter(({ id }) =>
        [short.id, long.id, forever.id].includes(id),
      );
      expect(ended).toMatchObject([
        { id: short.id, mode: 'enabled', modeReason: null, modeOwner: null, modeUntil: null },
      ]);
      expect(ended[0]!.revision).toBe(short.revision + 2);
      expect(await subject().endCordons()).toEqual([]);
      expect((await hostNow(subject(), forever.id)).mode).toBe('cordoned');
    });

    it('that are given anew have the new end', async () => {
      const host = await upHost(subject());
      const cordon = (endsInMs: number | null) =>
        patch(host, { mode: { mode: 'cordoned', reason: null, owner: null, endsInMs } });
      await cordon(0);
      expect(await cordon(null)).toMatchObject({ mode: 'cordoned', modeUntil: null });
      expect(await subject().endCordons()).toEqual([]);
    });
  });

  describe('what a host says of its machine', () => {
    it('counts at once when it is more, and with the second report when it is less', async () => {
      const host = await upHost(subject(), SMALL);
      await report(host, { ...SMALL, cpu: 16 });
      expect(await cpuOf(host)).toBe(16);
      expect(await report(host, { ...SMALL, cpu: 4 })).toEqual([]);
      expect(await cpuOf(host)).toBe(16);
      expect(await report(host, { ...SMALL, cpu: 4 })).toMatchObject([{ id: host.id }]);
      expect(await cpuOf(host)).toBe(4);
    });

    it('counts less after a join only when a poll says so too', async () => {
      const host = await upHost(subject(), SMALL);
      const less = { ...SMALL, cpu: 4 };
      const { id, name, address } = host;
      const again = { id, name, address, totals: totalsWith(less) };
      const joined = await subject().joinHost(joinRequest(again), TESTER);
      expect(joined.inventory.cpu?.total).toBe(8);
      await subject().saveHostPolls([answeredPoll({ ...host, inventory: inventoryWith(less) })]);
      expect(await cpuOf(host)).toBe(4);
    });

    it('is not taken over when a newer report is there already', async () => {
      const host = await upHost(subject(), SMALL);
      const [older, newer] = [reportOf(host), reportOf(host)];
      const more = (total: number) => ({ totals: totalsWith({ ...SMALL, cpu: total }) });
      await subject().saveHostReport(host.id, { ...newer, ...more(20) });
      await subject().saveHostReport(host.id, { ...older, ...more(30) });
      expect(await cpuOf(host)).toBe(20);
      const poll = { ...answeredPoll(host), status: { ...older, ...more(30) } };
      await subject().saveHostPolls([missedPoll(host.id, 'suspect', 1)]);
      await subject().saveHostPolls([poll]);
      // It answered all the same.
      expect(await hostNow(subject(), host.id)).toMatchObject({ state: 'up', missedPolls: 0 });
      expect(await cpuOf(host)).toBe(20);
    });

    it('counts from the start again after a join, and after a start of the machine', async () => {
      const host = await upHost(subject(), SMALL);
      await report(host, SMALL, { report: 5_000_000 });
      await subject().joinHost(
        joinRequest({ id: host.id, name: host.name, totals: totalsWith(SMALL) }),
        TESTER,
      );
      await report(host, { ...SMALL, cpu: 20 }, { report: 1 });
      expect(await cpuOf(host)).toBe(20);
      await report(host, { ...SMALL, cpu: 30 }, { report: 1, bootId: 'boot-2' });
      expect(await cpuOf(host)).toBe(30);
    });

    it('is kept: what it really uses, and when it was heard; not that it can be reached', async () => {
      const host = await upHost(subject(), SMALL);
      await subject().saveHostPolls([missedPoll(host.id, 'suspect', 1)]);
      await report(host, SMALL, { used: { cpu: 3 } });
      const after = await hostNow(subject(), host.id);
      expect(after).toMatchObject({ used: { cpu: 3 }, state: 'suspect', missedPolls: 1 });
      expect(after.lastSeenAt!.getTime()).toBeGreaterThan(host.lastSeenAt!.getTime());
    });

    it('says nothing of its VMs any more when a newer report is there', async () => {
      const host = await upHost(subject());
      const vm = await placedVm(subject(), host);
      const [older, newer] = [reportOf(host), reportOf(host)];
      const says = (state: 'running' | 'stopped') => [
        { id: vm.id, assignment: vm.allocation!.assignment, state, resources: {}, reason: null },
      ];
      const seen = async () => (await subject().vm(vm.id))?.state;
      await subject().saveHostReport(host.id, older);
      await subject().reportVms(host.id, older, says('running'));
      expect(await seen()).toBe('running');
      await subject().saveHostReport(host.id, newer);
      await subject().reportVms(host.id, older, says('stopped'));
      expect(await seen()).toBe('running');
      await subject().reportVms(host.id, newer, says('stopped'));
      expect(await seen()).toBe('stopped');
    });
  });
}
