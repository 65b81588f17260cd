/** How many more fit: by hand, and against placing them one by one. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Resources } from '../../src/model/resources.js';
import { capacity, type Flavor } from '../../src/planner/capacity.js';
import { tableOf, type PlannedFleet } from '../../src/planner/fleet.js';
import { spare } from '../../src/planner/spare.js';
import { rankingOn } from '../../src/planner/strategies.js';
import { choose } from '../../src/placement/choose.js';
import type { HostTable } from '../../src/placement/host-table.js';
import { check } from '../support/properties.js';
import { anyFleet, fleetWith, plainHost, plainVm, resultOf } from './fleets.js';

const COSINE = rankingOn([], 'cosine');

const roomsIn = (
  fleet: PlannedFleet,
  flavors: readonly Flavor[],
  addHost: Resources | null = null,
) => resultOf(capacity({ table: tableOf(fleet), flavors, addHost }));

/** Places copies of a request until none fits. */
function placeAll(table: HostTable, resources: Resources): number {
  for (let count = 0; ; count += 1) {
    const decision = choose(table, { resources, constraints: {}, path: 'root' }, COSINE);
    if (decision.kind === 'nowhere') return count;
    table.book(decision.row, resources);
  }
}

const flavorOf = fc.record({
  cpu: fc.integer({ min: 0, max: 9 }),
  memory: fc.integer({ min: 1, max: 9 }),
});

describe('capacity', () => {
  it('tells what fits alone, tiered and pooled, what is short, and what a host adds', () => {
    const fleet = fleetWith(
      [
        plainHost('a', { cpu: 10, memory: 100 }, { zone: 'x' }),
        plainHost('b', { cpu: 7, memory: 7 }, { zone: 'y' }),
        plainHost('c', { cpu: 90, memory: 90 }, { mode: 'cordoned' }),
      ],
      [plainVm('v', 'a', { cpu: 1 })],
    );
    const big = { name: 'big', resources: { cpu: 4, memory: 4 } };
    const small = { name: 'small', resources: { cpu: 1, memory: 3 } };
    expect(roomsIn(fleet, [big, small], { cpu: 9, memory: 12 })).toEqual([
      {
        ...big,
        alone: 3,
        tiered: 3,
        zones: { x: 2, y: 1 },
        pooled: 4,
        bottleneck: { resource: 'cpu', hosts: 2, of: 2 },
        added: { alone: 2, tiered: 2 },
      },
      {
        ...small,
        alone: 11,
        tiered: 2,
        zones: { x: 9, y: 2 },
        pooled: 16,
        bottleneck: { resource: 'cpu', hosts: 1, of: 2 },
        added: { alone: 4, tiered: 1 },
      },
    ]);
  });

  it('says 0 where there is no host, or none has the class', () => {
    const gpu = { name: 'gpu', resources: { gpu: 1 } };
    expect(roomsIn({ hosts: [], vms: [] }, [gpu])).toMatchObject([{ alone: 0, bottleneck: null }]);
    const fleet = fleetWith([plainHost('a', { cpu: 4 })], []);
    expect(roomsIn(fleet, [gpu])).toMatchObject([
      { alone: 0, pooled: 0, bottleneck: { resource: 'gpu', hosts: 1, of: 1 } },
    ]);
  });

  it('ends with the number that placing them one by one ends with', () => {
    check(
      fc.property(anyFleet, flavorOf, flavorOf, (fleet, first, second) => {
        const flavors = [
          { name: 'first', resources: first },
          { name: 'second', resources: second },
        ];
        const table = tableOf(fleet);
        const rooms = resultOf(capacity({ table, flavors, addHost: null }));
        expect([...table.hosts()]).toEqual([...tableOf(fleet).hosts()]);
        expect(rooms[1]?.alone).toBe(placeAll(tableOf(fleet), second));
        expect(rooms.map(({ tiered }) => tiered)).toEqual([
          placeAll(table, first),
          placeAll(table, second),
        ]);
        for (const { alone, tiered, pooled } of rooms) {
          expect(tiered).toBeLessThanOrEqual(alone);
          expect(alone).toBeLessThanOrEqual(pooled);
        }
      }),
      200,
    );
  });
});

describe('N+1', () => {
  const spareOf = (fleet: PlannedFleet) => resultOf(spare(tableOf(fleet), fleet, COSINE));

  it('holds where the others of the zone have room, and names the hosts that are too much', () => {
    const size = { cpu: 10, memory: 10 };
    const fleet = fleetWith(
      [
        ...['a', 'b', 'c'].map((id) => plainHost(id, size, { zone: 'x' })),
        ...['d', 'e'].map((id) => plainHost(id, size, { zone: 'y' })),
      ],
      [
        plainVm('1', 'a', { cpu: 5, memory: 5 }),
        plainVm('2', 'a', { cpu: 5, memory: 5 }),
        plainVm('3', 'b', { cpu: 5, memory: 5 }),
        plainVm('4', 'd', { cpu: 8, memory: 8 }),
        plainVm('5', 'e', { cpu: 4, memory: 2 }),
      ],
    );
    expect(spareOf(fleet)).toEqual([
      { zone: 'x', hosts: 3, spared: 2, unspared: [] },
      {
        zone: 'y',
        hosts: 2,
        spared: 0,
        unspared: ['d', 'e'].map((id) => ({
          host: { id, name: id },
          vms: 1,
          stranded: 1,
          reason: 'insufficient cpu',
        })),
      },
    ]);
  });

  it('is not kept by groups whose members are lost together', () => {
    const apart = { constraints: { groups: [{ name: 'g', policy: 'affinity' as const }] } };
    const fleet = fleetWith(
      ['a', 'b'].map((id) => plainHost(id, { cpu: 10 })),
      ['1', '2'].map((id) => plainVm(id, 'a', { cpu: 2 }, apart)),
    );
    expect(spareOf(fleet)).toMatchObject([{ spared: 1, unspared: [] }]);
  });

  it('leaves the fleet as it was', () => {
    check(
      fc.property(anyFleet, (fleet) => {
        const table = tableOf(fleet);
        const zones = resultOf(spare(table, fleet, COSINE));
        expect([...table.hosts()]).toEqual([...tableOf(fleet).hosts()].map(asBooked(table)));
        const hosts = zones.reduce((sum, zone) => sum + zone.hosts, 0);
        expect(hosts).toBe(fleet.hosts.length);
      }),
      100,
    );
  });
});

/** A class whose bookings came and went stays with 0. */
const asBooked = (table: HostTable) => (host: PlannedFleet['hosts'][number]) => ({
  ...host,
  allocated: Object.fromEntries(
    Object.keys(table.allocatedAt(table.rowOf(host.id))).map((name) => [
      name,
      host.allocated[name] ?? 0,
    ]),
  ),
});
