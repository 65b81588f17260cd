/**
 * How well each strategy packs, by the placement code of the product: a fleet filled by arrivals
 * only, and a fleet kept nearly full while VMs come and go, in four scenarios of scarcity.
 * Prints a table per fleet and one JSON line. Options: --seeds 20 --churn-seeds 2 --arrivals 60000
 * --strategies balanced-fit,cosine --scenarios A,B,C,D --traces DIRECTORY (with nodes.csv and
 * requests_default.csv in the openb layout: the trace is packed too) --fleets generated,openb
 * --generated-seed 1 --reserve-large 0,2 (places kept for the largest shapes; each is a row) --seeds-from 1
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { STRATEGY_NAMES, type StrategyName } from '../src/model/strategies.js';
import { STRATEGIES } from '../src/placement/strategies.js';
import { conclude } from './conclude.js';
import { generatedLoad, openbLoad, type Load, type Scenario } from './pack-load.js';
import { churn, fill } from './pack-run.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    'churn-seeds': { type: 'string', default: '2' },
    arrivals: { type: 'string', default: '60000' },
    strategies: { type: 'string', default: STRATEGY_NAMES.join(',') },
    scenarios: { type: 'string', default: 'A,B,C,D' },
    fleets: { type: 'string', default: 'generated,openb' },
    'generated-seed': { type: 'string', default: '1' },
    'reserve-large': { type: 'string', default: '0' },
    'seeds-from': { type: 'string', default: '1' },
    traces: { type: 'string' },
  },
});
const listed = (text: string): readonly string[] => text.split(',');
const seedsOf = (count: string): readonly number[] =>
  Array.from({ length: Number(count) }, (_unused, index) => Number(values['seeds-from']) + index);

interface Result {
  readonly fleet: string;
  readonly scenario: string;
  readonly strategy: StrategyName;
  /** Places kept for each of the largest shapes. */
  readonly reserveLarge: number;
  /** Means over the seeds, in percent; null where nothing was run. */
  readonly firstRefusal: number | null;
  /** Standard error of that mean: it hangs on the order of hosts more than all else. */
  readonly firstRefusalError: number | null;
  readonly loadAtOnePercent: number | null;
  readonly usedOfTightest: number | null;
  readonly used: Readonly<Record<string, number | null>>;
  readonly lost: number | null;
}

function measured(load: Load, scenario: Scenario, name: StrategyName, places: number): Result {
  const packer = { strategy: STRATEGIES[name], places };
  const fills = seedsOf(values.seeds).map((seed) => fill(load, scenario, packer, seed));
  const losses = seedsOf(values['churn-seeds']).map((seed) =>
    churn(load, scenario, packer, seed, Number(values.arrivals)),
  );
  const classes = Object.keys(fills[0]?.used ?? {});
  return {
    fleet: load.name,
    scenario: scenario.name,
    strategy: name,
    reserveLarge: places,
    firstRefusal: mean(fills.map((one) => one.firstRefusal)),
    firstRefusalError: standardError(fills.map((one) => one.firstRefusal)),
    loadAtOnePercent: mean(fills.map((one) => one.loadAtOnePercent)),
    usedOfTightest: mean(fills.map((one) => one.usedOfTightest)),
    used: Object.fromEntries(
      classes.map((each) => [each, mean(fills.map(({ used }) => used[each] ?? NaN))]),
    ),
    lost: mean(losses),
  };
}

const mean = (numbers: readonly number[]): number | null =>
  numbers.length === 0
    ? null
    : Math.round((numbers.reduce((sum, one) => sum + one, 0) / numbers.length) * 100) / 100;

/** √(Σ (x − mean)² / (n (n − 1))); null of fewer than two. */
function standardError(numbers: readonly number[]): number | null {
  const count = numbers.length;
  if (count < 2) return null;
  const middle = numbers.reduce((sum, one) => sum + one, 0) / count;
  const squares = numbers.reduce((sum, one) => sum + (one - middle) ** 2, 0);
  return Math.round(Math.sqrt(squares / (count * (count - 1))) * 100) / 100;
}

function print(load: Load, scenarios: readonly Scenario[], results: readonly Result[]): void {
  const table = new Table({
    head: ['', ...scenarios.map(({ name, what }) => `${name}: ${what}`)],
    style: { head: [], border: [] },
  });
  for (const row of new Set(results.map(rowOf))) {
    const cells = results
      .filter((one) => rowOf(one) === row && one.fleet === load.name)
      .map(({ firstRefusal, firstRefusalError, loadAtOnePercent, usedOfTightest, lost }) =>
        [
          `${shown(firstRefusal, 1)} ±${shown(firstRefusalError, 1)}`,
          ...[loadAtOnePercent, usedOfTightest].map((one) => shown(one, 1)),
          shown(lost, 2),
        ].join('  '),
      );
    table.push([row, ...cells]);
  }
  process.stdout.write(
    `${load.name}: ${load.hosts.length.toString()} hosts, ${load.requests.length.toString()} requests\n` +
      'percent: requests until the first refusal ± standard error  load at 1 % refused  ' +
      'used of the tightest class at 130 % offered  volume lost while VMs come and go\n' +
      `${table.toString()}\n`,
  );
}

const rowOf = ({ strategy, reserveLarge }: Result): string =>
  reserveLarge === 0 ? strategy : `${strategy}, ${reserveLarge.toString()} kept`;

const shown = (value: number | null, digits: number): string => value?.toFixed(digits) ?? '-';

function main(): void {
  const loads = [
    generatedLoad(Number(values['generated-seed'])),
    ...(values.traces === undefined ? [] : [openbLoad(values.traces)]),
  ].filter(({ name }) => listed(values.fleets).includes(name));
  const names = STRATEGY_NAMES.filter((name) => listed(values.strategies).includes(name));
  const all: Result[] = [];
  for (const load of loads) {
    const scenarios = load.scenarios.filter(({ name }) => listed(values.scenarios).includes(name));
    const results = names.flatMap((name) =>
      listed(values['reserve-large']).flatMap((places) =>
        scenarios.map((one) => measured(load, one, name, Number(places))),
      ),
    );
    print(load, scenarios, results);
    all.push(...results);
  }
  conclude(
    {
      bench: 'pack',
      seeds: values.seeds,
      churnSeeds: values['churn-seeds'],
      arrivals: values.arrivals,
      results: all,
    },
    '',
  );
}

main();
