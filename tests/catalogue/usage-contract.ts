/** Usage now, and its history: samples, hours, what is kept. Time is what the calls say. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Host } from '../../src/model/host.js';
import type { UsageHistoryQuery } from '../../src/model/stores/usage.js';
import { KEPT_MS, STEP_MS, type UsageSample } from '../../src/model/usage.js';
import { TESTER } from '../support/callers.js';
import { modePatch } from '../support/hosts.js';
import { fresh, placedVm, reportOf, totalsWith, upHost } from './builders.js';
import type { Subject } from './catalogue-contract.js';

const MINUTE_MS = 60_000;
const HOUR_MS = STEP_MS['1h'];

/** Hours of a past that no other test writes about. */
const START = Date.UTC(2020, 0, 1);
const at = (ms: number) => new Date(START + ms);

export function describeUsage(subject: Subject): void {
  describe('usage', () => {
    let zone: string;
    let host: Host;
    let other: Host;
    beforeAll(async () => {
      zone = fresh('zone');
      host = await upHost(subject(), { cpu: 8 });
      other = await upHost(subject(), { cpu: 4 });
      const retired = await upHost(subject(), { cpu: 1_000 });
      for (const { id } of [host, other, retired]) {
        await subject().patchHost(id, { overrides: { zone, overcommit: { cpu: 2 } } }, TESTER);
      }
      await subject().patchHost(retired.id, modePatch('retired'), TESTER);
    });

    const uses = (cpu: number) =>
      subject().saveHostReport(
        host.id,
        reportOf(host, {
          totals: totalsWith({ cpu: 8 }),
          used: { cpu },
        }),
      );
    const history = async (query: Partial<UsageHistoryQuery>): Promise<readonly UsageSample[]> => {
      const defaults = { scope: 'zone', id: zone, step: '5m', limit: 1_000, cursor: null } as const;
      const range = { from: at(0), to: at(48 * HOUR_MS) };
      return (await subject().usageHistory({ ...defaults, ...range, ...query })).items;
    };
    const rollUpAll = async (now: Date) => {
      while (await subject().rollUpUsage(now));
    };

    it('is told of every host but those that are retired', async () => {
      await placedVm(subject(), other, { resources: { cpu: 3 } });
      await uses(1);
      const own = (await subject().usage()).filter((found) => found.zone === zone);
      expect(own).toEqual([
        {
          host: { id: host.id, name: host.name },
          zone,
          state: 'up',
          mode: 'enabled',
          resources: { cpu: { capacity: 16, limit: 16, booked: 0, used: 1 } },
        },
        {
          host: { id: other.id, name: other.name },
          zone,
          state: 'up',
          mode: 'enabled',
          resources: { cpu: { capacity: 8, limit: 8, booked: 3, used: null } },
        },
      ]);
    });

    it('is summed by the database as by the program', async () => {
      const { hosts, amounts } = await subject().fleetCounts();
      const all = await subject().usage();
      expect(hosts.reduce((sum, { count }) => sum + count, 0)).toBe(all.length);
      for (const kind of ['capacity', 'limit', 'booked', 'used'] as const) {
        const found = amounts.find((one) => one.resource === 'cpu' && one.kind === kind);
        const expected = all.reduce((sum, one) => sum + (one.resources.cpu?.[kind] ?? 0), 0);
        expect({ kind, amount: found?.amount }).toEqual({ kind, amount: expected });
      }
    });

    it('has no limit of a class that is unknown', async () => {
      const fabric = fresh('fabric').replaceAll('-', '_');
      const unsure = await upHost(subject(), { cpu: 1 });
      const unknown = { total: 0, source: 'unknown' } as const;
      const totals = { ...totalsWith({ cpu: 1 }), [fabric]: unknown };
      await subject().saveHostReport(unsure.id, reportOf(unsure, { totals }));
      const own = (await subject().usage()).find(({ host: { id } }) => id === unsure.id);
      expect(own?.resources[fabric]).toEqual({ capacity: 0, limit: 0, booked: 0, used: null });
      const { amounts } = await subject().fleetCounts();
      const counted = amounts.filter(({ resource }) => resource === fabric);
      expect(counted).toEqual([{ resource: fabric, kind: 'capacity', amount: 0 }]);
      await placedVm(subject(), unsure, { resources: { cpu: 1, [fabric]: 10 ** 12 } });
      expect(await subject().host(unsure.id)).toMatchObject({ allocated: { [fabric]: 10 ** 12 } });
      await subject().patchHost(unsure.id, { overrides: { totals: { [fabric]: 7 } } }, TESTER);
      expect(await subject().host(unsure.id)).toMatchObject({
        inventory: { [fabric]: { total: 7, source: 'configured' } },
      });
    });

    it('is sampled once in five minutes, whoever asks and how often', async () => {
      await uses(1);
      const answers = await Promise.all(
        [1, 2, 3].map((minute) => subject().sampleUsage(at(minute * MINUTE_MS))),
      );
      expect(answers.filter(Boolean)).toHaveLength(1);
      await uses(7);
      expect(await subject().sampleUsage(at(4 * MINUTE_MS))).toBe(false);
      expect(await subject().sampleUsage(at(5 * MINUTE_MS))).toBe(true);
      const cpu = { capacity: 24, limit: 24, booked: 3, bookedMax: 3 };
      expect(await history({})).toEqual([
        { at: at(0), resources: { cpu: { ...cpu, used: 1, usedMax: 1 } } },
        { at: at(5 * MINUTE_MS), resources: { cpu: { ...cpu, used: 7, usedMax: 7 } } },
      ]);
      const own = await history({ scope: 'host', id: host.id });
      expect(own.map(({ resources }) => resources.cpu?.used)).toEqual([1, 7]);
      const total = await history({ scope: 'total', id: '' });
      expect(total).toHaveLength(2);
      expect(total[0]?.resources.cpu?.capacity).toBeGreaterThanOrEqual(24);
    });

    it('is summed up to means and maxima of an hour, when the hour is over', async () => {
      await rollUpAll(at(HOUR_MS - 1));
      expect(await history({ step: '1h' })).toEqual([]);
      await rollUpAll(at(HOUR_MS));
      const expected = [
        {
          at: at(0),
          resources: {
            cpu: { capacity: 24, limit: 24, booked: 3, used: 4, bookedMax: 3, usedMax: 7 },
          },
        },
      ];
      expect(await history({ step: '1h' })).toEqual(expected);
      await rollUpAll(at(HOUR_MS));
      expect(await history({ step: '1h' })).toEqual(expected);
    });

    it('is paged, and cut to the time that is asked for', async () => {
      await subject().sampleUsage(at(10 * MINUTE_MS));
      const first = await subject().usageHistory({
        ...{ scope: 'zone', id: zone, step: '5m', from: at(0), to: at(HOUR_MS) },
        ...{ limit: 2, cursor: null },
      });
      expect(first.items.map((sample) => sample.at)).toEqual([at(0), at(5 * MINUTE_MS)]);
      const second = await subject().usageHistory({
        ...{ scope: 'zone', id: zone, step: '5m', from: at(0), to: at(HOUR_MS) },
        ...{ limit: 2, cursor: first.nextCursor },
      });
      expect(second).toMatchObject({ items: [{ at: at(10 * MINUTE_MS) }], nextCursor: null });
      const middle = await history({ from: at(5 * MINUTE_MS), to: at(10 * MINUTE_MS) });
      expect(middle.map((sample) => sample.at)).toEqual([at(5 * MINUTE_MS)]);
    });

    it('catches up on many hours, and forgets each step in its own time', async () => {
      for (let hour = 1; hour <= 20; hour += 1) await subject().sampleUsage(at(hour * HOUR_MS));
      await rollUpAll(at(21 * HOUR_MS));
      expect(await history({ step: '1h' })).toHaveLength(21);
      // All but the last hour's samples are older than a week then.
      await rollUpAll(at(20 * HOUR_MS + KEPT_MS['5m']));
      expect((await history({})).map((sample) => sample.at)).toEqual([at(20 * HOUR_MS)]);
      expect(await history({ step: '1h' })).toHaveLength(21);
      await rollUpAll(at(20 * HOUR_MS + KEPT_MS['1h']));
      expect(await history({ step: '1h' })).toHaveLength(1);
    });
  });
}
