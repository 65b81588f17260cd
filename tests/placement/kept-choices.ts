/**
 * The property of the engine: whatever has happened to a fleet, and whatever was asked of it
 * before, each choice is the plain one.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Constraints } from '../../src/model/constraints.js';
import { GROUP_POLICIES, membershipsOf, type GroupRule } from '../../src/model/groups.js';
import type { FleetHost, HostMode } from '../../src/model/host.js';
import type { HostState } from '../../src/model/host-liveness.js';
import type { Resources } from '../../src/model/resources.js';
import { STRATEGY_NAMES } from '../../src/model/strategies.js';
import { choose, type Decision } from '../../src/placement/choose.js';
import { HostTable } from '../../src/placement/host-table.js';
import { STRATEGIES } from '../../src/placement/strategies.js';
import { weightsOf, type Ranking } from '../../src/placement/strategy.js';
import { plainChoice } from './plain-choice.js';

/** More than fits into 31 bits, as bytes per second easily are. */
const MUCH = 2 ** 31;

/** Few values, so that hosts are often alike and a request often comes again. */
const amounts = fc.record({
  cpu: fc.constantFrom(0, 8, 8, 16, 24),
  memory: fc.constantFrom(0, 8, 32, 32, 48),
  disk: fc.constantFrom(8, 32, 32, 64),
  gpu: fc.constantFrom(0, 0, 4),
  network: fc.constantFrom(0, MUCH, MUCH, 3 * MUCH),
  disk_io: fc.constantFrom(8, 8, 0),
});
const host = fc.record({
  id: fc.integer({ min: 0, max: 79 }),
  limits: amounts,
  overcommit: fc.constantFrom(1, 1, 1.5),
  zone: fc.constantFrom('a', 'a', 'b'),
  rack: fc.constantFrom('1', '2'),
  state: fc.constantFrom<HostState>('up', 'up', 'up', 'up', 'suspect'),
  mode: fc.constantFrom<HostMode>('enabled', 'enabled', 'enabled', 'enabled', 'cordoned'),
});
type HostRecord = Parameters<Parameters<typeof host.map>[0]>[0];

/** Nothing most of the time. */
const seldom = (...some: readonly number[]) =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constantFrom(...some) },
  );

const shape = fc.record({
  cpu: fc.constantFrom(0, 1, 2, 4),
  memory: fc.constantFrom(1, 4, 8),
  disk: fc.constantFrom(0, 4),
  gpu: fc.constantFrom(0, 0, 0, 1),
  network: seldom(MUCH / 2, MUCH + 1),
  disk_io: seldom(4),
});
const someHost = fc.integer({ min: 0, max: 79 }).map((id) => `h${id}`);
/** Hosts go by their ids, and by names that some share. */
const name = fc.oneof(
  someHost,
  someHost.map((id) => `${id} alias`),
);
const constraints = fc.oneof(
  { weight: 6, arbitrary: fc.constant({}) },
  fc.record({ zone: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ labels: fc.record({ required: fc.constant({ rack: '1' }) }) }),
  fc.record({
    zone: fc.constant('a'),
    labels: fc.record({ forbidden: fc.constant({ rack: '1' }) }),
  }),
  fc.record({ host: name }),
  fc.record({ exclude: fc.array(name, { maxLength: 5 }) }),
);
const groups = fc.oneof(
  { weight: 3, arbitrary: fc.constant([]) },
  fc.uniqueArray(
    fc.record({ name: fc.constantFrom('g', 'h'), policy: fc.constantFrom(...GROUP_POLICIES) }),
    { minLength: 1, maxLength: 2, selector: (rule) => rule.name },
  ),
);
const ask = fc.record({
  shape,
  constraints,
  groups,
  ranking: fc.nat(),
  count: fc.integer({ min: 1, max: 12 }),
});

const step = fc.oneof(
  { weight: 300, arbitrary: ask.map((value) => ({ kind: 'ask' as const, value })) },
  { weight: 100, arbitrary: fc.nat().map((value) => ({ kind: 'release' as const, value })) },
  { weight: 100, arbitrary: host.map((value) => ({ kind: 'upsert' as const, value })) },
  { weight: 50, arbitrary: someHost.map((value) => ({ kind: 'remove' as const, value })) },
  {
    weight: 50,
    arbitrary: fc
      .record({ id: someHost, allocated: shape })
      .map((value) => ({ kind: 'set' as const, value })),
  },
  {
    weight: 20,
    arbitrary: fc
      .record({ id: someHost, resources: shape })
      .map((value) => ({ kind: 'owe' as const, value })),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'clear' as const }) },
);
type Step = Parameters<Parameters<typeof step.map>[0]>[0];

/** Weights that count a class twice, or not at all, beside even ones. */
const WEIGHTS = [weightsOf({}), weightsOf({ cpu: 2, disk: 0 })];

const fleetHost = ({ id, limits, overcommit, rack, ...facts }: HostRecord): FleetHost => ({
  ...facts,
  id: `h${id}`,
  name: `h${id % 60} alias`,
  // Neither the order of rows nor that of ids.
  seq: (id * 37) % 80,
  revision: 1,
  labels: { rack },
  capacity: Object.fromEntries(
    Object.entries(limits).map(([resource, limit]) => [resource, limit * overcommit]),
  ),
  limits,
  allocated: {},
});

interface Placed {
  readonly hostId: string;
  readonly resources: Resources;
  readonly groups: readonly GroupRule[];
}

export interface Tally {
  placed: number;
  refused: number;
}

type Strategies = Readonly<Record<string, Ranking['strategy']>>;
type Choose = (...args: Parameters<typeof choose>) => Decision;

/** @param tally counts what was compared: refusals alone would prove nothing */
export const choicesArePlain = (
  tally: Tally,
  strategies: Strategies = STRATEGIES,
  chooseBy: Choose = choose,
) =>
  fc.property(
    fc.array(host, { maxLength: 70 }),
    fc.array(step, { minLength: 10, maxLength: 40 }),
    (hosts, steps) => {
      const table = HostTable.of(hosts.map(fleetHost));
      const stay: Placed[] = [];
      for (const one of steps) {
        if (one.kind === 'ask') askOften(table, one.value, stay, tally, strategies, chooseBy);
        else happen(table, one, stay);
      }
    },
  );

function askOften(
  table: HostTable,
  { shape: resources, constraints: places, groups: rules, ranking: index, count }: AskRecord,
  stay: Placed[],
  tally: Tally,
  strategies: Strategies,
  chooseBy: Choose,
): void {
  const names = STRATEGY_NAMES.filter((one) => strategies[one] !== undefined);
  const ranking: Ranking = {
    strategy: strategies[names[index % names.length]!]!,
    weights: WEIGHTS[index % WEIGHTS.length]!,
  };
  const rest: Constraints = rules.length === 0 ? places : { ...places, groups: rules };
  const request = { resources, constraints: rest, path: 'root' };
  for (let at = 0; at < count; at += 1) {
    const plain = plainChoice(table, request, ranking);
    const decision = chooseBy(table, request, ranking);
    if (decision.kind === 'nowhere') {
      assert.equal(plain.hostId, null);
      assert.equal(decision.summary.feasible, 0);
      tally.refused += 1;
      return;
    }
    const hostId = table.factsAt(decision.row).id;
    const { score, feasible } = decision;
    assert.deepEqual({ hostId, score, feasible }, plain);
    tally.placed += 1;
    table.book(decision.row, resources, membershipsOf('root', rules));
    stay.push({ hostId, resources, groups: rules });
  }
}

type AskRecord = Parameters<Parameters<typeof ask.map>[0]>[0];

function happen(table: HostTable, one: Exclude<Step, { kind: 'ask' }>, stay: Placed[]): void {
  switch (one.kind) {
    case 'release': {
      const [gone] = stay.splice(one.value % Math.max(1, stay.length), 1);
      const row = gone === undefined ? -1 : table.rowOf(gone.hostId);
      if (gone !== undefined && row >= 0) {
        table.unbook(row, gone.resources, membershipsOf('root', gone.groups));
      }
      return;
    }
    case 'upsert': {
      const facts = fleetHost(one.value);
      const row = table.rowOf(facts.id);
      table.upsert(facts, row < 0 ? {} : table.allocatedAt(row));
      return;
    }
    case 'remove':
      table.remove(one.value);
      return;
    case 'set':
      table.setAllocated(one.value.id, one.value.allocated);
      return;
    case 'owe': {
      // Given back before it is booked: less than nothing is on a host for a while.
      const row = table.rowOf(one.value.id);
      if (row >= 0) table.unbook(row, one.value.resources);
      return;
    }
    case 'clear':
      table.clear();
  }
}
