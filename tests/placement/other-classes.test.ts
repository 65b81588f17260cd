/** Network, disk I/O and GPUs: hosts are passed over by them when a VM asks, and only then. */
import { describe, expect, it } from '@jest/globals';
import { NO_CONSTRAINTS } from '../../src/model/constraints.js';
import { capacitiesOf, inventoryOf, limitsOf } from '../../src/model/inventory.js';
import type { Resources } from '../../src/model/resources.js';
import type { MeasuredTotals } from '../../src/model/agent-report.js';
import { choose } from '../../src/placement/choose.js';
import { cosine } from '../../src/placement/cosine.js';
import { explain } from '../../src/placement/explain.js';
import { HostTable } from '../../src/placement/host-table.js';
import { weightsOf } from '../../src/placement/strategy.js';
import { fleetHost } from '../support/hosts.js';

const POLICY = { overcommit: { network: 2, disk_io: 2 }, reserve: {} };
const EVEN = { strategy: cosine, weights: weightsOf({}) };
const SMALL = { cpu: 1, memory: 1, disk: 1 };

const host = (id: string, more: MeasuredTotals, allocated: Resources = {}) => {
  const total = (amount: number) => ({ total: amount, source: 'detected' as const });
  const ranked = { cpu: total(8), memory: total(1_000), disk: total(1_000) };
  const inventory = inventoryOf({ ...ranked, ...more }, POLICY);
  const room = { capacity: capacitiesOf(inventory), limits: limitsOf(inventory) };
  return fleetHost({ id, name: id, ...room, allocated });
};

const HOSTS = [
  host('plain', {}),
  host('linked', { network: { total: 100, source: 'detected' } }, { network: 150 }),
  host('unknown', { network: { total: 0, source: 'unknown' } }, { network: 10 ** 12, cpu: 7 }),
  host('cards', { gpu: { total: 2, source: 'detected' } }, { gpu: 1, cpu: 6 }),
];

function chosen(more: Resources): string | null {
  const table = HostTable.of(HOSTS);
  const request = { resources: { ...SMALL, ...more }, constraints: NO_CONSTRAINTS, path: 'root' };
  const decision = choose(table, request, EVEN);
  return decision.kind === 'placed' ? table.factsAt(decision.row).id : null;
}

describe('a class that is not ranked', () => {
  it.each<[Resources, string | null]>([
    [{}, 'plain'],
    [{ network: 50 }, 'linked'],
    // What nobody knows keeps nothing away, whatever is booked there.
    [{ network: 51 }, 'unknown'],
    [{ network: 10 ** 15 }, 'unknown'],
    [{ gpu: 1 }, 'cards'],
    [{ gpu: 2 }, null],
    [{ gpu: 1, network: 1 }, null],
    [{ disk_io: 1 }, null],
  ])('asked as %j leads to %s', (more, expected) => {
    expect(chosen(more)).toBe(expected);
  });

  it('is named where it is short', () => {
    const table = HostTable.of(HOSTS);
    const resources = { ...SMALL, network: 60, gpu: 1 };
    const told = explain(table, { resources, constraints: NO_CONSTRAINTS, path: 'root' }, EVEN);
    const reasons = Object.fromEntries(
      told.rejected.map(({ host: { id }, reasons: all }) => [id, all]),
    );
    expect(reasons.linked).toEqual([
      { code: 'insufficient', resource: 'network', requested: 60, available: 50, limit: 200 },
      { code: 'insufficient', resource: 'gpu', requested: 1, available: 0, limit: 0 },
    ]);
    expect(reasons.unknown).toEqual([
      { code: 'insufficient', resource: 'gpu', requested: 1, available: 0, limit: 0 },
    ]);
  });
});
