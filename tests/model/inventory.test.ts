/** Limits and shortfalls: the formulas that every room repeats or uses. */
import { describe, expect, it } from '@jest/globals';
import {
  capacityOf,
  hostInventoryOf,
  inventoryOf,
  isUnknown,
  limitOf,
  shortfalls,
} from '../../src/model/inventory.js';

const entry = (total: number, reserved: number, overcommit: number) => ({
  total,
  reserved,
  overcommit,
  source: 'detected' as const,
});

describe('inventory', () => {
  it.each([
    // total, reserved, overcommit, capacity, limit
    [8, 0, 4, 32, 32],
    [16_384, 1_639, 1, 16_384, 14_745],
    [3, 1, 1.5, 4.5, 3],
    [10, 12, 4, 40, 0],
    [0, 0, 4, 0, 0],
  ])('total %d, reserved %d, overcommit %d', (total, reserved, overcommit, capacity, limit) => {
    expect(capacityOf(entry(total, reserved, overcommit))).toBe(capacity);
    expect(limitOf(entry(total, reserved, overcommit))).toBe(limit);
  });

  it('reserves a share of each total, rounded up, and overcommits as told', () => {
    const inventory = inventoryOf(
      {
        cpu: { total: 6, source: 'detected' },
        memory: { total: 1001, source: 'detected' },
        gpu: { total: 2, source: 'configured' },
      },
      { overcommit: { cpu: 4 }, reserve: { memory: 0.1 } },
    );
    expect(inventory).toEqual({
      cpu: { total: 6, reserved: 0, overcommit: 4, source: 'detected' },
      memory: { total: 1001, reserved: 101, overcommit: 1, source: 'detected' },
      gpu: { total: 2, reserved: 0, overcommit: 1, source: 'configured' },
    });
  });

  it('of what is unknown keeps nothing away, and shows no capacity', () => {
    const unknown = { ...entry(0, 0, 2), source: 'unknown' as const };
    expect(limitOf(unknown)).toBe(Number.MAX_SAFE_INTEGER);
    expect(capacityOf(unknown)).toBe(0);
    expect(isUnknown(unknown)).toBe(true);
    expect(shortfalls({ network: limitOf(unknown) }, {}, { network: 1e15 })).toEqual([]);
  });

  it('gives no more than the most that may be booked', () => {
    expect(limitOf({ ...entry(8, 0, 4), max: 10 })).toBe(10);
    expect(limitOf({ ...entry(8, 0, 4), max: 100 })).toBe(32);
    expect(limitOf({ ...entry(0, 0, 1), source: 'unknown', max: 7 })).toBe(7);
  });

  it('takes the factor of the operator, then that of the host, then that of the policy', () => {
    const policy = { overcommit: { cpu: 4, disk: 3 }, reserve: {} };
    const measured = {
      cpu: { total: 8, source: 'detected', overcommit: 2, max: 12 },
      disk: { total: 10, source: 'detected' },
    } as const;
    expect(hostInventoryOf(measured, {}, policy)).toEqual({
      cpu: { total: 8, reserved: 0, overcommit: 2, max: 12, source: 'detected' },
      disk: { total: 10, reserved: 0, overcommit: 3, source: 'detected' },
    });
    const said = { overcommit: { cpu: 1.5 }, totals: { cpu: 6, gpu: 1 } };
    expect(hostInventoryOf(measured, said, policy)).toMatchObject({
      cpu: { total: 6, overcommit: 1.5, max: 12, source: 'configured' },
      gpu: { total: 1, overcommit: 1, source: 'configured' },
    });
  });

  it('names every class that is short and none that is not asked for', () => {
    expect(
      shortfalls({ cpu: 4, memory: 100 }, { cpu: 5, memory: 90 }, { memory: 11, gpu: 1, disk: 0 }),
    ).toEqual([
      { resource: 'memory', requested: 11, available: 10, limit: 100 },
      { resource: 'gpu', requested: 1, available: 0, limit: 0 },
    ]);
    expect(shortfalls({ memory: 100 }, { memory: 90 }, { memory: 10 })).toEqual([]);
  });
});
