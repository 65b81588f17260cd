/** Random fleets and requests for properties of placement, and both readings of them. */
import fc from 'fast-check';
import type { Constraints } from '../../src/model/constraints.js';
import { GROUP_POLICIES, membershipsOf } from '../../src/model/groups.js';
import type { FleetHost } from '../../src/model/host.js';
import { capacitiesOf, inventoryOf, limitsOf } from '../../src/model/inventory.js';
import { AMOUNT_MAX } from '../../src/model/resources.js';
import { STRATEGY_NAMES, type StrategyName } from '../../src/model/strategies.js';
import { HostTable } from '../../src/placement/host-table.js';
import { STRATEGIES } from '../../src/placement/strategies.js';
import type { Ranking } from '../../src/placement/strategy.js';
import { fleetHost } from '../support/hosts.js';
import type { NaiveHost, NaiveRequest } from './naive.js';

const perClass = (value: fc.Arbitrary<number>) =>
  fc.record({ cpu: value, memory: value, disk: value });
const rule = fc.record({
  name: fc.constantFrom('g', 'h'),
  policy: fc.constantFrom(...GROUP_POLICIES),
});
/** 0: the host before is its twin, so that scores tie. */
const twin = fc.integer({ min: 0, max: 4 });

/** The amounts of a host, or those of the one before it. */
const withTwins = <Host extends { readonly twin: number }>(hosts: readonly Host[]) =>
  hosts.reduce<Host[]>((made, host) => {
    const before = made.at(-1);
    return [...made, host.twin === 0 && before !== undefined ? before : host];
  }, []);

export const naiveHost = fc.record({
  closed: fc.integer({ min: 0, max: 9 }),
  zone: fc.constantFrom('a', 'b'),
  total: perClass(fc.integer({ min: 0, max: 48 })),
  overcommit: perClass(fc.constantFrom(0.5, 1, 1.5, 4)),
  reservePct: perClass(fc.constantFrom(0, 0.1, 0.25)),
  allocated: perClass(fc.integer({ min: 0, max: 12 })),
  members: fc.oneof(fc.constant([]), fc.array(rule, { maxLength: 2 })),
});
const maybeTwin = fc.tuple(naiveHost, twin).map(([host, drawn]) => ({ ...host, twin: drawn }));

const ranking = (weight: fc.Arbitrary<number>) =>
  fc.record({
    strategy: fc.constantFrom(...STRATEGY_NAMES),
    weights: fc.tuple(weight, weight, weight),
  });

const fleet = fc.array(maybeTwin, { maxLength: 12 }).map((hosts) =>
  withTwins(hosts).map(({ closed, ...host }, index): NaiveHost => ({
    ...host,
    open: closed > 0,
    id: `h${index.toString()}`,
    seq: index * 7,
  })),
);

export function asFleetHost(host: NaiveHost): FleetHost {
  const inventory = inventoryOf(
    Object.fromEntries(
      Object.entries(host.total).map(([name, total]) => [
        name,
        { total, source: 'detected' as const },
      ]),
    ),
    { overcommit: host.overcommit, reserve: host.reservePct },
  );
  return fleetHost({
    id: host.id,
    name: host.id,
    seq: host.seq,
    zone: host.zone,
    state: host.open ? 'up' : 'suspect',
    capacity: capacitiesOf(inventory),
    limits: limitsOf(inventory),
    allocated: host.allocated,
  });
}

export function tableOf(hosts: readonly NaiveHost[]): HostTable {
  const table = HostTable.of(hosts.map(asFleetHost));
  for (const { id, members } of hosts) {
    for (const member of members) table.groups.count(membershipsOf('root', [member]), id, 1);
  }
  return table;
}

/** Amounts of any size; each class of a host is apart from the others. */
const amount = fc.oneof(
  fc.integer({ min: 0, max: 48 }),
  fc.constantFrom(0, 1, AMOUNT_MAX, AMOUNT_MAX - 1, 2 ** 31, 2 ** 52),
  fc.maxSafeNat(),
);
const factor = fc.constantFrom(0.1, 0.5, 1, 1.5, 4, 1_000);

/** Hosts and requests as strange as the rules allow: nothing there, more booked than there is. */
export const extremes = fc.record({
  hosts: fc
    .array(
      fc.record({
        total: perClass(amount),
        overcommit: perClass(factor),
        allocated: perClass(amount),
        twin,
      }),
      { minLength: 1, maxLength: 6 },
    )
    .map((hosts) =>
      withTwins(hosts).map((host, index): NaiveHost => ({
        ...host,
        reservePct: {},
        members: [],
        open: true,
        zone: 'a',
        id: `h${index.toString()}`,
        seq: index,
      })),
    ),
  request: fc.record({
    resources: perClass(amount),
    zone: fc.constant(null),
    groups: fc.constant([]),
  }),
  ranking: ranking(fc.constantFrom(0, 0.5, 1, 1e6)),
  order: fc.infiniteStream(fc.nat()),
});

export const scenario = fc.record({
  hosts: fleet,
  request: fc.record({
    resources: perClass(fc.integer({ min: 0, max: 12 })),
    zone: fc.constantFrom(null, null, 'a'),
    groups: fc.oneof(
      fc.constant([]),
      fc.uniqueArray(rule, { maxLength: 2, selector: ({ name }) => name }),
    ),
  }),
  ranking: ranking(fc.constantFrom(0, 0.5, 1, 2)),
  order: fc.infiniteStream(fc.nat()),
});

export function asked({ resources, zone, groups }: NaiveRequest) {
  const constraints: Constraints = {
    ...(zone === null ? {} : { zone }),
    ...(groups.length === 0 ? {} : { groups }),
  };
  return { resources, constraints, path: 'root' };
}

export const rankingOf = (asked: {
  readonly strategy: StrategyName;
  readonly weights: readonly number[];
}): Ranking => ({
  strategy: STRATEGIES[asked.strategy],
  weights: Float64Array.from(asked.weights),
});

/** The same in another order. */
export const shuffled = <T>(items: readonly T[], order: Iterator<number>): readonly T[] =>
  items
    .map((item) => ({ item, key: order.next().value as number }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
