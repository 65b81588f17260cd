/** Sums of usage, by class, zone and host. */
import { describe, expect, it } from '@jest/globals';
import { inventoryOf } from '../../src/model/inventory.js';
import {
  stepStartMs,
  sumUsage,
  usageByZone,
  usageOf,
  type HostUsage,
} from '../../src/model/usage.js';

const inventory = inventoryOf(
  { cpu: { total: 8, source: 'detected' }, memory: { total: 1_000, source: 'detected' } },
  { overcommit: { cpu: 4 }, reserve: { memory: 0.1 } },
);

describe('usage', () => {
  it('of a host names every class that it has, books or uses', () => {
    expect(
      usageOf({
        inventory,
        orphaned: { cpu: 2 },
        allocated: { cpu: 3, gpu: 1 },
        used: { memory: 70 },
      }),
    ).toEqual({
      cpu: { capacity: 32, limit: 30, booked: 3, used: null },
      memory: { capacity: 1_000, limit: 900, booked: 0, used: 70 },
      gpu: { capacity: 0, limit: 0, booked: 1, used: null },
    });
  });

  it('of a class that is unknown has neither capacity nor limit, but what is booked', () => {
    const unknown = {
      network: { total: 0, reserved: 0, overcommit: 2, source: 'unknown' },
    } as const;
    const host = { inventory: unknown, orphaned: {}, allocated: { network: 5 }, used: {} };
    expect(usageOf(host)).toEqual({ network: { capacity: 0, limit: 0, booked: 5, used: null } });
  });

  it('is summed class by class; what is not known is not counted as nothing', () => {
    const cpu = { capacity: 4, limit: 3, booked: 2 };
    const sum = sumUsage([
      { cpu: { ...cpu, used: null } },
      { cpu: { ...cpu, used: 1 }, disk: { ...cpu, used: null } },
      { cpu: { ...cpu, used: 0.5 } },
    ]);
    expect(sum).toEqual({
      cpu: { capacity: 12, limit: 9, booked: 6, used: 1.5 },
      disk: { ...cpu, used: null },
    });
    expect(sumUsage([])).toEqual({});
  });

  it('of zones is that of their hosts, in order of their names', () => {
    const host = (name: string, zone: string): HostUsage => ({
      host: { id: name, name },
      zone,
      state: 'up',
      mode: 'enabled',
      resources: { cpu: { capacity: 4, limit: 4, booked: 1, used: null } },
    });
    const zones = usageByZone([host('1', 'b'), host('2', 'a'), host('3', 'b')]);
    expect(zones.map(({ zone, hosts, resources }) => [zone, hosts, resources.cpu?.booked])).toEqual(
      [
        ['a', 1, 1],
        ['b', 2, 2],
      ],
    );
  });

  it.each([
    ['5m', '2026-11-21T10:04:59.999Z', '2026-11-21T10:00:00.000Z'],
    ['5m', '2026-11-21T10:05:00.000Z', '2026-11-21T10:05:00.000Z'],
    ['1h', '2026-11-21T10:59:59.999Z', '2026-11-21T10:00:00.000Z'],
  ] as const)('the step of %s in which %s lies begins at %s', (step, at, start) => {
    expect(stepStartMs(Date.parse(at), step)).toBe(Date.parse(start));
  });
});
