/** Bugs of single functions: each is handed to the property that the real function keeps. */
import { visibleTo } from '../../../src/api/tenancy.js';
import type { VirtualClock } from '../../../src/sim/virtual-clock.js';
import type { IdempotencyStore } from '../../../src/model/stores/idempotency.js';
import { admits, prepare } from '../../../src/placement/filter.js';
import { explain } from '../../../src/placement/explain.js';
import { HostTable } from '../../../src/placement/host-table.js';
import { ratio } from '../../../src/placement/ratio.js';
import { STRATEGIES } from '../../../src/placement/strategies.js';
import type { Link } from '../../../src/sim/link.js';
import { tenantsSeeTheirOwn } from '../../api/tenancy-properties.js';
import type { NaiveHost } from '../../placement/naive.js';
import { choiceIsPure, explanationsAreTrue, scoresAreFinite } from '../../placement/properties.js';
import { asFleetHost } from '../../placement/scenarios.js';
import { keysHaveOneEffect, turnsBookWhatThereIs } from '../../schedules/sections.js';
import { check, checkAsync } from '../../support/properties.js';
import { changed } from '../changed.js';
import { ReadModifyWrite } from './ledger-bugs.js';
import type { PropertyBug } from './seeded-bug.js';

const RUNS = 2_000;

/** The reserve is taken off after the overcommit instead of before. */
function inOtherOrder(host: NaiveHost) {
  const limits = Object.entries(host.total).map(([name, total]): [string, number] => {
    const reserved = Math.ceil(total * (host.reservePct[name] ?? 0));
    return [name, Math.max(0, Math.floor(total * (host.overcommit[name] ?? 1)) - reserved)];
  });
  return { ...asFleetHost(host), limits: Object.fromEntries(limits) };
}

const unguardedCosine: (typeof STRATEGIES)['cosine']['score'] = (table, row, requested) => {
  const at = row * requested.length;
  let [dot, left, asked] = [0, 0, 0];
  requested.forEach((amount, index) => {
    const capacity = table.capacity[at + index] ?? 0;
    const remaining = ratio(capacity - (table.allocated[at + index] ?? 0), capacity);
    const share = ratio(amount, capacity);
    dot += remaining * share;
    left += remaining * remaining;
    asked += share * share;
  });
  return dot / (Math.sqrt(left) * Math.sqrt(asked));
};

/** A store that looks first and writes in a second transaction. */
const inTwoTransactions = (store: IdempotencyStore, link: Link): IdempotencyStore => {
  const begun = new Map<string, string>();
  return changed(store, {
    async beginRequest(name, requestHash, ...lease) {
      const hash = await link('look', () => begun.get(name.key));
      if (hash === requestHash) return { kind: 'in_progress' };
      if (hash !== undefined) return { kind: 'reused' };
      await link('write', () => begun.set(name.key, requestHash));
      const own = { ...name, key: `${name.key} ${lease[0]}` };
      return store.beginRequest(own, requestHash, ...lease);
    },
  });
};

const whateverTheBody = (store: IdempotencyStore, link: Link): IdempotencyStore =>
  changed(store, {
    beginRequest: (name, _requestHash, ...lease) =>
      link('begin', () => store.beginRequest(name, 'any', ...lease)),
    keepAnswer: (...args) => link('keep', () => store.keepAnswer(...args)),
  });

export const PURE_BUGS: readonly PropertyBug[] = [
  {
    name: 'explained-in-other-order',
    what: 'the explanation takes off the reserve after the overcommit',
    property: 'explanations are true',
    check() {
      const explainBy = (hosts: readonly NaiveHost[], ...asked: Tail<Parameters<typeof explain>>) =>
        explain(HostTable.of(hosts.map(inOtherOrder)), ...asked);
      check(explanationsAreTrue(explainBy), RUNS);
    },
  },
  {
    name: 'score-of-nothing',
    what: 'the cosine of a zero vector is not a number',
    property: 'scores are finite',
    check() {
      check(scoresAreFinite({ ...STRATEGIES, cosine: { score: unguardedCosine } }), RUNS);
    },
  },
  {
    name: 'first-row-wins',
    what: 'of two hosts with one score, that in the first row is taken',
    property: 'the choice is pure',
    check() {
      check(
        choiceIsPure((table, request, ranking) => {
          const prepared = prepare(table, request);
          let best = { row: -1, score: -Infinity };
          for (let row = 0; row < table.size; row += 1) {
            if (!admits(table, row, prepared)) continue;
            const { strategy, weights } = ranking;
            const score = strategy.score(table, row, prepared.ranked, weights);
            if (score > best.score) best = { row, score };
          }
          if (best.row < 0) return { kind: 'nowhere', summary: NO_SUMMARY };
          return { kind: 'placed', ...best, feasible: 1, violations: [] };
        }),
        RUNS,
      );
    },
  },
  {
    name: 'list-without-tenant',
    what: 'a list leaves out whose it is',
    property: 'tenants see their own',
    check: () =>
      checkAsync(
        tenantsSeeTheirOwn({ seenAs: (principal) => ({ ...principal, path: null }) }),
        RUNS,
      ),
  },
  {
    name: 'tenant-by-prefix',
    what: 'a tenant sees what belongs to one whose name begins like its own',
    property: 'tenants see their own',
    check: () =>
      checkAsync(
        tenantsSeeTheirOwn({
          visible: (principal, path) =>
            visibleTo(principal, path) || path.startsWith(principal.path ?? ''),
        }),
        RUNS,
      ),
  },
  {
    name: 'key-in-two-transactions',
    what: 'an Idempotency-Key is looked up in one transaction and written in another',
    property: 'keys have one effect',
    check: () => checkAsync(keysHaveOneEffect(inTwoTransactions), RUNS),
  },
  {
    name: 'key-for-any-body',
    what: 'another body under the same Idempotency-Key is accepted',
    property: 'keys have one effect',
    check: () => checkAsync(keysHaveOneEffect(whateverTheBody), RUNS),
  },
  {
    name: 'lock-and-write-in-turns',
    what: 'of three turns of the lock, one writes what it read before another',
    property: 'turns book what there is',
    check: () =>
      checkAsync(
        turnsBookWhatThereIs((clock) => new ReadModifyWrite(clock as unknown as VirtualClock)),
        RUNS,
      ),
  },
];

const NO_SUMMARY = { considered: 0, feasible: 0, byReason: {}, nearest: null };

type Tail<List extends readonly unknown[]> = List extends readonly [unknown, ...infer Rest]
  ? Rest
  : never;
