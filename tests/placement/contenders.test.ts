/** Who is listed for a request, against the filter row by row: closed and over-full hosts, amounts of any size. */
import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { HostMode } from '../../src/model/host.js';
import { Contenders } from '../../src/placement/contenders.js';
import { admits, prepare } from '../../src/placement/filter.js';
import { HostTable } from '../../src/placement/host-table.js';
import { askedOf, CLOSED, isCut, spareOf } from '../../src/placement/spare.js';
import { fleetHost } from '../support/hosts.js';
import { check } from '../support/properties.js';

const RUNS = 2_000;
const MOST = 2 ** 31 - 1;

/** Around nothing, around what 31 bits hold, and as much as there can be; some not whole. */
const amount = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 6 }) },
  { weight: 2, arbitrary: fc.integer({ min: MOST - 3, max: MOST + 3 }) },
  { weight: 1, arbitrary: fc.constantFrom(0.5, 1.5, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER) },
);
const CLASSES = ['cpu', 'memory', 'disk', 'gpu', 'network', 'disk_io'];
/** Of some classes; of a host's limits, of most. */
const amounts = (classesMin: number) =>
  fc
    .subarray(CLASSES, { minLength: classesMin })
    .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, amount]))));
const host = fc.record({
  limits: amounts(5),
  allocated: fc.oneof(
    { weight: 3, arbitrary: fc.constant({}) },
    { weight: 1, arbitrary: amounts(0) },
  ),
  mode: fc.constantFrom<HostMode>('enabled', 'enabled', 'enabled', 'draining'),
  zone: fc.constantFrom('a', 'b'),
});

describe('contenders', () => {
  it('are the rows that the filter admits, in their order, but for those left out', () => {
    let listed = 0;
    const field = fc.record({
      resources: amounts(0),
      zone: fc.constantFrom(undefined, undefined, 'a'),
      beside: fc.array(fc.nat(40), { maxLength: 4 }),
    });
    check(
      fc.property(fc.array(host, { maxLength: 40 }), fc.array(field), (hosts, fields) => {
        const table = HostTable.of(
          hosts.map((one, seq) => fleetHost({ ...one, id: `h${seq}`, seq, capacity: one.limits })),
        );
        const contenders = new Contenders(table);
        for (const { resources, zone, beside } of fields) {
          const constraints = zone === undefined ? {} : { zone };
          const request = prepare(table, { resources, constraints, path: 'root' });
          const among = new Uint32Array(2);
          for (const [row, one] of hosts.entries()) {
            if (one.zone === zone) among[row >>> 5] = (among[row >>> 5] ?? 0) | (1 << (row & 31));
          }
          const rowsOut = new Set(beside.filter((row) => row < table.size));
          contenders.find(request, { among: zone === undefined ? null : among, beside: rowsOut });
          const plain = [...hosts.keys()].filter(
            (row) => admits(table, row, request) && !rowsOut.has(row),
          );
          assert.deepEqual([...contenders.rows.subarray(0, contenders.count)], plain);
          listed += plain.length;
        }
      }),
      RUNS,
    );
    expect(listed).toBeGreaterThan(RUNS * 2);
  });

  it('are none where no host has anything of a class', () => {
    const table = HostTable.of([fleetHost({})]);
    const contenders = new Contenders(table);
    const field = { among: null, beside: new Set<number>() };
    contenders.find(
      prepare(table, { resources: { gpu: 1 }, constraints: {}, path: 'root' }),
      field,
    );
    expect(contenders.count).toBe(0);
    contenders.find(
      prepare(table, { resources: { gpu: 0 }, constraints: {}, path: 'root' }),
      field,
    );
    expect(contenders.count).toBe(1);
  });
});

describe('what may still be booked', () => {
  it.each([
    [8, 3, 5],
    [8, 8, 0],
    [8, 9, CLOSED],
    [0, 2 ** 40, CLOSED],
    [8, -3, 11],
    [MOST, 0, MOST],
    [MOST + 1, 0, MOST],
    [Number.MAX_SAFE_INTEGER, -7, MOST],
    [2.5, 1, 1],
  ])('of %d with %d booked is %d', (limit, allocated, spare) => {
    expect(spareOf(limit, allocated)).toBe(spare);
  });

  it('is compared with whole amounts of its own range, and others are told', () => {
    expect([0, 7, MOST].map(askedOf)).toEqual([0, 7, MOST]);
    expect([0, 7, MOST].some(isCut)).toBe(false);
    expect([MOST + 1, 1.5, -1].map(askedOf)).toEqual([MOST, 1, 0]);
    expect([MOST + 1, 1.5, -1].every(isCut)).toBe(true);
  });
});
