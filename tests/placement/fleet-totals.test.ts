/** Sums over the fleet: in steps, exact, and the same in whatever order they came about. */
import { describe, expect, it } from '@jest/globals';
import { AMOUNT_MAX } from '../../src/model/resources.js';
import { FleetTotals } from '../../src/placement/fleet-totals.js';
import { HostTable } from '../../src/placement/host-table.js';
import { fleetHost } from '../support/hosts.js';

const host = (id: string, cpu: number, allocated = 0) =>
  fleetHost({ id, total: { cpu, memory: 0 }, noReserve: true, allocated: { cpu: allocated } });

describe('the totals of a fleet', () => {
  it('take the mean over the hosts that have the class', () => {
    const { totals } = HostTable.of([host('a', 10), host('b', 30), host('c', 0)]);
    expect([...totals.capacity]).toEqual([40, 0, 0]);
    expect([...totals.mean]).toEqual([20, 0, 0]);
  });

  it('tell the use in steps of 1/256, from 0 to 1', () => {
    const table = HostTable.of([host('a', 1_000)]);
    table.book(0, { cpu: 250, memory: 5 });
    expect([...table.totals.use]).toEqual([0.25, 0, 0]);
    table.book(0, { cpu: 1 });
    expect(table.totals.use[0]).toBe(0.25);
    table.book(0, { cpu: 2 });
    expect(table.totals.use[0]).toBe(65 / 256);
    table.book(0, { cpu: 1_000 });
    expect(table.totals.use[0]).toBe(1);
    table.unbook(0, { cpu: 2_000 });
    expect(table.totals.use[0]).toBe(0);
  });

  it('are as they were when as much was given back as was booked', () => {
    const table = HostTable.of([host('a', 1_000)]);
    const before = table.totals.revision;
    table.book(0, { cpu: 500 });
    table.unbook(0, { cpu: 500 });
    expect(table.totals.revision).toBe(before);
    table.book(0, { cpu: 500 });
    expect(table.totals.revision).toBeGreaterThan(before);
  });

  it('follow hosts that come, change, move to another row and go', () => {
    const table = HostTable.of([host('a', 10, 10), host('b', 30, 6), host('c', 60, 14)]);
    expect([table.totals.capacity[0], table.totals.use[0]]).toEqual([100, 77 / 256]);
    table.remove('a');
    expect([table.totals.mean[0], table.totals.use[0]]).toEqual([45, 57 / 256]);
    const grown = host('b', 70);
    table.upsert(grown, { cpu: 18 });
    expect([table.totals.mean[0], table.totals.use[0]]).toEqual([65, 63 / 256]);
    table.setAllocated('c', { cpu: 47 });
    expect(table.totals.use[0]).toBe(0.5);
    table.clear();
    expect([table.totals.capacity[0], table.totals.use[0]]).toEqual([0, 0]);
    table.upsert(host('d', 4), { cpu: 1 });
    expect([table.totals.capacity[0], table.totals.use[0]]).toEqual([4, 0.25]);
  });

  it('forget nothing of amounts beyond what a double can count', () => {
    const totals = new FleetTotals();
    totals.measure(Float64Array.of(4, 0, 0));
    for (let times = 0; times < 99; times += 1) totals.book(0, 0, AMOUNT_MAX);
    totals.book(0, 0, 1);
    expect(totals.use[0]).toBe(1);
    for (let times = 0; times < 99; times += 1) totals.book(0, AMOUNT_MAX, 0);
    expect(totals.use[0]).toBe(0.25);
  });

  it('add up fractions the same way in any order', () => {
    const capacities = [0.1, 0.7, 0.2, 1e9, 0.3].flatMap((cpu) => [cpu, 0, 0]);
    const [one, other] = [new FleetTotals(), new FleetTotals()];
    one.measure(Float64Array.from(capacities));
    other.measure(Float64Array.from([0.3, 1e9, 0.2, 0.7, 0.1].flatMap((cpu) => [cpu, 0, 0])));
    expect(one.capacity).toEqual(other.capacity);
  });
});
