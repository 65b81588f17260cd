/** The table's own bookkeeping: bookings on and off, over-full hosts, hosts that go. */
import { describe, expect, it } from '@jest/globals';
import type { Membership } from '../../src/model/groups.js';
import { HostTable } from '../../src/placement/host-table.js';
import { fleetHost } from '../support/hosts.js';

const APART: Membership = { key: 'root/web', policy: 'anti-affinity' };
const NEAR: Membership = { key: 'root/web', policy: 'soft-affinity' };

/** Limits: 8 CPUs and 900 MiB. */
const host = (id: string, changes: Parameters<typeof fleetHost>[0] = {}) =>
  fleetHost({ id, name: id, total: { cpu: 2, memory: 1000, disk: 1000 }, ...changes });

describe('bookings', () => {
  it('go on and off, with their groups', () => {
    const table = HostTable.of([host('a'), host('b')]);
    table.book(0, { cpu: 3, gpu: 1 }, [APART]);
    table.book(0, { cpu: 1 }, [NEAR]);
    expect(table.allocatedAt(0)).toEqual({ cpu: 4, gpu: 1 });
    expect([...table.groups.hostsOf('root/web')]).toEqual([['a', { members: 2, exclusive: 1 }]]);
    table.unbook(0, { cpu: 3, gpu: 1 }, [APART]);
    expect(table.allocated[0]).toBe(1);
    expect([...table.groups.hostsOf('root/web')]).toEqual([['a', { members: 1, exclusive: 0 }]]);
    table.unbook(0, { cpu: 1 }, [NEAR]);
    expect(table.groups.hostsOf('root/web').size).toBe(0);
  });

  it('that were not there may go off and on again, and nothing has changed', () => {
    const table = HostTable.of([host('a', { allocated: { cpu: 1 } })]);
    table.unbook(0, { cpu: 3 }, [APART]);
    table.book(0, { cpu: 3 }, [APART]);
    expect(table.allocatedAt(0)).toEqual({ cpu: 1 });
    expect(table.groups.hostsOf('root/web').size).toBe(0);
  });
});

describe('what is booked in a row', () => {
  it('is told class by class, and without those of which it is nothing', () => {
    const table = HostTable.of([host('a', { allocated: { cpu: 2, gpu: 0, network: 5 } })]);
    table.book(0, { memory: 7, gpu: 1 });
    table.unbook(0, { cpu: 2 });
    expect(table.allocatedAt(0)).toEqual({ memory: 7, gpu: 1, network: 5 });
    expect(['cpu', 'memory', 'gpu', 'tape'].map((name) => table.bookedAt(0, name))).toEqual([
      0, 7, 1, 0,
    ]);
  });

  it('is not told, or changed, of a row that is not there', () => {
    const table = HostTable.of([host('a')]);
    expect(() => table.allocatedAt(1)).toThrow(RangeError);
    expect(() => {
      table.book(1, { cpu: 1 });
    }).toThrow(RangeError);
  });
});

describe('a host that is over-full', () => {
  it.each<[string, Record<string, number>]>([
    ['in a ranked class', { cpu: 9 }],
    ['in another', { gpu: 1 }],
  ])('%s is not open, and opens by itself when there is room again', (_name, allocated) => {
    const table = HostTable.of([host('a', { allocated })]);
    expect(table.open[0]).toBe(0);
    table.setAllocated('a', { cpu: 8 });
    expect(table.open[0]).toBe(1);
  });

  it('in two other classes opens when there is room again in both', () => {
    const table = HostTable.of([host('a', { limits: { cpu: 8, gpu: 1, network: 1 } })]);
    table.book(0, { gpu: 2 });
    table.book(0, { network: 3 });
    table.book(0, { cpu: 1 });
    expect(table.open[0]).toBe(0);
    table.unbook(0, { gpu: 1, network: 1 });
    expect(table.open[0]).toBe(0);
    table.unbook(0, { network: 1 });
    expect(table.open[0]).toBe(1);
    table.upsert({ ...table.factsAt(0), limits: { cpu: 8 } }, table.allocatedAt(0));
    expect(table.open[0]).toBe(0);
    table.setAllocated('a', { cpu: 1 });
    expect(table.open[0]).toBe(1);
  });

  it('closes and opens with its limits and with bookings on the table', () => {
    const table = HostTable.of([host('a', { allocated: { cpu: 8 } })]);
    expect(table.open[0]).toBe(1);
    table.upsert({ ...table.factsAt(0), limits: { cpu: 7, memory: 900, disk: 900 } }, { cpu: 8 });
    expect(table.open[0]).toBe(0);
    table.unbook(0, { cpu: 1 });
    expect(table.open[0]).toBe(1);
    table.book(0, { cpu: 1 });
    expect(table.open[0]).toBe(0);
  });
});

describe('a host that goes', () => {
  it('leaves its row to the last, and everything else as it was', () => {
    const table = HostTable.of([
      host('a', { total: { cpu: 50, memory: 1000, disk: 1000 } }),
      host('b', { allocated: { cpu: 2 } }),
      host('c', { allocated: { cpu: 3 }, mode: 'cordoned', seq: 77 }),
    ]);
    expect(table.largest[0]).toBe(200);
    table.remove('a');
    expect(table.size).toBe(2);
    expect(table.rowOf('a')).toBe(-1);
    const row = table.rowOf('c');
    expect(row).toBe(0);
    expect(table.factsAt(row).id).toBe('c');
    expect([table.allocated[0], table.open[0], table.seq[0]]).toEqual([3, 0, 77]);
    expect(table.largest[0]).toBe(8);
    table.remove('c');
    table.remove('c');
    expect([...table.hosts()].map(({ id, allocated }) => [id, allocated])).toEqual([
      ['b', { cpu: 2 }],
    ]);
    table.remove('b');
    expect(table.size).toBe(0);
    expect(table.largest[0]).toBe(0);
  });
});
