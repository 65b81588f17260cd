/** What is kept between decisions changes none of them, costs little to mend, and has bounds. */
import { describe, expect, it } from '@jest/globals';
import { NO_CONSTRAINTS } from '../../src/model/constraints.js';
import { bestFit } from '../../src/placement/best-fit.js';
import { choose } from '../../src/placement/choose.js';
import { cosine } from '../../src/placement/cosine.js';
import { prepare } from '../../src/placement/filter.js';
import { firstFit } from '../../src/placement/first-fit.js';
import { HostTable } from '../../src/placement/host-table.js';
import { KeptRankings } from '../../src/placement/kept-rankings.js';
import { STRATEGIES } from '../../src/placement/strategies.js';
import { weightsOf, type Strategy } from '../../src/placement/strategy.js';
import { fleetHost } from '../support/hosts.js';
import { check } from '../support/properties.js';
import { choicesArePlain } from './kept-choices.js';

const RUNS = 1_200;
const WEIGHTS = weightsOf({});
const NOBODY: ReadonlySet<number> = new Set();

const fleet = (hosts: number): HostTable =>
  HostTable.of(Array.from({ length: hosts }, (_, seq) => fleetHost({ id: `h${seq}`, seq })));

const asking = (cpu: number) => ({
  resources: { cpu, memory: 64, disk: 64 },
  constraints: NO_CONSTRAINTS,
  path: 'root',
});

/** A strategy that is asked row by row, and how often it was. */
function counted(strategy: Strategy) {
  const asked = { times: 0 };
  const { name, merit, sees = 'anything' } = strategy;
  const counting: Strategy = {
    name,
    merit,
    sees,
    addends: (...host) => strategy.addends(...host),
    score(...args) {
      asked.times += 1;
      return strategy.score(...args);
    },
  };
  return { asked, ranking: { strategy: counting, weights: WEIGHTS } };
}

describe('choices', () => {
  it('are the plain ones, whatever happened to the fleet and whatever was asked before', () => {
    const tally = { placed: 0, refused: 0 };
    check(choicesArePlain(tally), RUNS);
    expect(tally.placed).toBeGreaterThan(RUNS * 10);
    expect(tally.refused).toBeGreaterThan(RUNS);
  });

  it.each<[string, Strategy]>([
    ['amounts, and looks at the largest host', { ...bestFit, sees: 'amounts' }],
    ['amounts, and looks at who was first', { ...firstFit, sees: 'amounts' }],
    [
      'the host, and looks at the others',
      {
        name: 'cosine',
        merit: 'it is unlike the first',
        sees: 'host',
        addends: () => ({}),
        score: (table, row) =>
          Math.abs((table.allocated[row * 3] ?? 0) - (table.allocated[0] ?? 0)),
      },
    ],
  ])('would not be, if a strategy said that it sees %s', (_what, liar) => {
    const tally = { placed: 0, refused: 0 };
    expect(() => check(choicesArePlain(tally, { [liar.name]: liar }), RUNS)).toThrow();
  });
});

describe('a burst of equal requests', () => {
  it('costs two looks at the fleet, and one score for each booking', () => {
    const table = fleet(1_000);
    for (let row = 0; row < table.size; row += 1) table.book(row, { cpu: row % 16, disk: row });
    const { asked, ranking } = counted(cosine);
    for (let at = 0; at < 300; at += 1) {
      const decision = choose(table, asking(1), ranking);
      if (decision.kind !== 'placed') throw new Error('there is room');
      table.book(decision.row, asking(1).resources);
    }
    expect(asked.times).toBeLessThanOrEqual(2 * 1_000 + 300);
    expect(asked.times).toBeGreaterThan(1_000);
  });

  it('costs two looks at the fleet for each step of its use, where sums over it count', () => {
    const table = fleet(1_000);
    for (let row = 0; row < table.size; row += 1) table.book(row, { cpu: row % 16, disk: row });
    const { asked, ranking } = counted(STRATEGIES['balanced-fit']);
    const before = table.totals.revision;
    for (let at = 0; at < 300; at += 1) {
      const decision = choose(table, asking(1), ranking);
      if (decision.kind !== 'placed') throw new Error('there is room');
      table.book(decision.row, asking(1).resources);
    }
    const steps = table.totals.revision - before;
    expect(steps).toBeGreaterThan(0);
    expect(steps).toBeLessThan(20);
    expect(asked.times).toBeLessThanOrEqual((steps + 1) * 2 * 1_000 + 300);
  });

  it('scores hosts that are alike once', () => {
    const { asked, ranking } = counted(cosine);
    choose(fleet(1_000), asking(1), ranking);
    expect(asked.times).toBe(1);
  });

  it('scores every host each time for a strategy that says nothing of what it sees', () => {
    const { asked, ranking } = counted({ ...cosine, sees: 'anything' });
    const table = fleet(100);
    for (let at = 0; at < 3; at += 1) choose(table, asking(1), ranking);
    expect(asked.times).toBe(300);
  });
});

describe('what is kept', () => {
  const ranking = { strategy: cosine, weights: WEIGHTS };

  it('stays within its bounds, whatever is asked', () => {
    const table = fleet(200);
    const limits = { shapesMax: 10, bytesMax: 8_000 };
    const kept = new KeptRankings(table, limits);
    for (let at = 0; at < 200; at += 1) {
      const request = prepare(table, asking(1 + (at % 25) / 100));
      const first = kept.best(request, ranking, NOBODY);
      expect(kept.best(request, ranking, NOBODY)).toEqual(first);
      expect(kept.kept.shapes).toBeLessThanOrEqual(limits.shapesMax);
      expect(kept.kept.bytes).toBeLessThanOrEqual(limits.bytesMax);
    }
    expect(kept.kept.bytes).toBeGreaterThan(0);
  });

  it('stays with some when more shapes take turns than there is room for', () => {
    const table = fleet(200);
    const kept = new KeptRankings(table, { shapesMax: 50, bytesMax: 8_000 });
    const { asked, ranking: counting } = counted(firstFit);
    const round = () => {
      for (let at = 0; at < 20; at += 1) {
        kept.best(prepare(table, asking(1 + at / 100)), counting, NOBODY);
      }
    };
    round();
    round();
    const { bytes } = kept.kept;
    expect(bytes).toBeGreaterThan(8_000 / 2);
    asked.times = 0;
    round();
    // Some shapes ask nobody, all others every host.
    expect(asked.times).toBeLessThan(20 * 200);
    expect(asked.times % 200).toBe(0);
    expect(kept.kept.bytes).toBe(bytes);
  });

  it('makes room when nobody asks for the old ones any more', () => {
    const table = fleet(200);
    const kept = new KeptRankings(table, { shapesMax: 50, bytesMax: 8_000 });
    const { asked, ranking: counting } = counted(firstFit);
    const twice = (cpu: number) => {
      for (let time = 0; time < 2; time += 1) {
        kept.best(prepare(table, asking(cpu)), counting, NOBODY);
      }
    };
    for (let at = 0; at < 20; at += 1) twice(1 + at / 100);
    for (let at = 0; at < 30; at += 1) twice(2);
    asked.times = 0;
    twice(2);
    expect(asked.times).toBe(0);
  });

  it('is let go when a shape comes so seldom that a look at all hosts is cheaper', () => {
    const table = fleet(200);
    const kept = new KeptRankings(table);
    const ask = () => kept.best(prepare(table, asking(1)), ranking, NOBODY);
    ask();
    ask();
    expect(kept.kept.bytes).toBeGreaterThan(0);
    for (let row = 0; row < 200; row += 1) table.book(row, { cpu: 1 });
    ask();
    expect(kept.kept).toEqual({ shapes: 1, bytes: 0 });
  });

  it('is kept for one-off requests in no more than their names', () => {
    const table = fleet(200);
    const kept = new KeptRankings(table);
    for (let at = 0; at < 50; at += 1) {
      kept.best(prepare(table, asking(1 + at / 100)), ranking, NOBODY);
    }
    expect(kept.kept).toEqual({ shapes: 50, bytes: 0 });
  });

  it('knows strategies and weights apart', () => {
    const table = fleet(2);
    table.book(0, { cpu: 4 });
    const kept = new KeptRankings(table);
    const best = (name: keyof typeof STRATEGIES) => {
      const rankedBy = { strategy: STRATEGIES[name], weights: WEIGHTS };
      return kept.best(prepare(table, asking(1)), rankedBy, NOBODY).row;
    };
    for (let at = 0; at < 3; at += 1) {
      expect(best('best-fit')).toBe(0);
      expect(best('worst-fit')).toBe(1);
    }
  });
});
