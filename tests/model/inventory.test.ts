/** Limits and shortfalls: the formulas that every room repeats or uses. */
import { describe, expect, it } from '@jest/globals';
import { capacityOf, inventoryOf, limitOf, shortfalls } from '../../src/model/inventory.js';

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
