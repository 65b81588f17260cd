/**
 * What must hold of every decision, as properties of the functions that take it: the tests run them
 * on the real ones, and on ones with a bug to see that they bite.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { choose } from '../../src/placement/choose.js';
import { explain } from '../../src/placement/explain.js';
import type { HostTable } from '../../src/placement/host-table.js';
import { STRATEGIES } from '../../src/placement/strategies.js';
import type { Ranking } from '../../src/placement/strategy.js';
import {
  naiveChoice,
  naiveReasons,
  naiveSummary,
  type NaiveHost,
  type NaiveReason,
} from './naive.js';
import { asked, extremes, rankingOf, scenario, shuffled, tableOf } from './scenarios.js';

type Request = ReturnType<typeof asked>;
type Explain = (
  hosts: readonly NaiveHost[],
  request: Request,
  ranking: Ranking,
) => ReturnType<typeof explain>;

const explained: Explain = (hosts, request, ranking) => explain(tableOf(hosts), request, ranking);

/** S20: every reason and missing amount is that of an oracle, and who chooses is who explains. */
export const explanationsAreTrue = (explainBy: Explain = explained) =>
  fc.property(scenario, ({ hosts, request, ranking }) => {
    const told = explainBy(hosts, asked(request), rankingOf(ranking));
    const reasons = new Map(told.rejected.map((one) => [one.host.id, one.reasons]));
    const candidates = new Set(told.candidates.map(({ host }) => host.id));
    for (const host of hosts) {
      const expected = naiveReasons(hosts, host, request);
      assert.deepEqual(sorted(reasons.get(host.id) ?? []), sorted(expected), host.id);
      assert.equal(candidates.has(host.id), expected.length === 0, host.id);
    }
    assert.equal(told.chosen, naiveChoice(hosts, request, ranking));
    const table = tableOf(hosts);
    const decision = choose(table, asked(request), rankingOf(ranking));
    const chosen = decision.kind === 'placed' ? table.factsAt(decision.row).id : null;
    assert.equal(told.chosen, chosen);
    assert.deepEqual(told.summary, naiveSummary(hosts, request));
    assert.equal(told.summary.feasible, candidates.size);
    assert.equal(chosen === null, candidates.size === 0);
    if (decision.kind === 'nowhere') assert.deepEqual(decision.summary, told.summary);
  });

const sorted = (reasons: readonly NaiveReason[]): readonly string[] =>
  reasons
    .map(({ code, group, resource, requested, available, limit }) =>
      JSON.stringify([code, group, resource, requested, available, limit]),
    )
    .sort();

/** S21: the choice follows from the hosts and the request alone, whatever the amounts. */
export const choiceIsPure = (chooseBy: typeof choose = choose) =>
  fc.property(extremes, ({ hosts, request, ranking, order }) => {
    const choiceOf = (table: HostTable) => {
      const decision = chooseBy(table, asked(request), rankingOf(ranking));
      return decision.kind === 'placed' ? table.factsAt(decision.row).id : null;
    };
    const table = tableOf(hosts);
    const before = [...table.hosts()];
    const first = choiceOf(table);
    assert.equal(choiceOf(table), first);
    assert.deepEqual([...table.hosts()], before);
    assert.equal(choiceOf(tableOf(shuffled(hosts, order))), first);
    // A table that has seen other hosts come and go, too.
    const worn = tableOf(hosts);
    for (const { id } of hosts.slice(0, -1)) worn.remove(id);
    for (const host of tableOf(hosts.slice(0, -1)).hosts()) worn.upsert(host, host.allocated);
    assert.equal(choiceOf(worn), first);
  });

type Scores = Readonly<Record<keyof typeof STRATEGIES, Pick<Ranking['strategy'], 'score'>>>;

/** S21: every score is a number that can be compared; that of the cosine lies from -1 to 1. */
export const scoresAreFinite = (strategies: Scores = STRATEGIES) =>
  fc.property(extremes, ({ hosts, request, ranking }) => {
    const table = tableOf(hosts);
    const { cpu, memory, disk } = request.resources;
    const requested = Float64Array.of(cpu, memory, disk);
    for (const row of hosts.keys()) {
      for (const [name, strategy] of Object.entries(strategies)) {
        const weights = Float64Array.from(ranking.weights);
        const score = strategy.score(table, row, requested, weights);
        assert.ok(Number.isFinite(score), `${name} says ${score}`);
        if (name === 'cosine') assert.ok(score >= -1 && score <= 1 + 1e-9, `cosine says ${score}`);
      }
    }
  });
