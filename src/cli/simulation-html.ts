/** The report of a replay as one HTML file: no script, and nothing is loaded from anywhere. */
import type { ReplayResult, ReplaySample } from '../planner/replay.js';
import { showShare } from './amounts.js';
import { chartSvg, escapeHtml, type Chart } from './svg-chart.js';

const STYLE = `
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .5rem; text-align: right; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1.5rem 0; } figcaption { font-weight: 600; }
svg text { font-size: 11px; fill: currentColor; } .grid { stroke: #8884; }
.legend { margin: 0; font-size: .85rem; } .legend span { margin-right: 1rem; white-space: nowrap; }
`;

/** @param results the best first */
export function simulationHtml(results: readonly ReplayResult[]): string {
  const [best] = results;
  const classes = Object.keys(best?.peak ?? {});
  const summary =
    best === undefined
      ? 'Nothing was replayed.'
      : `${best.requests.toString()} requests on ${best.hosts.toString()} hosts, decided by the code that places VMs.`;
  const charts: Chart[] = [
    ...classes.map((name) =>
      chartOf(`Use of ${name}`, true, results, ({ utilisation }) => utilisation[name] ?? 0),
    ),
    chartOf('Refused so far', false, results, ({ refused }) => refused),
    chartOf('Fragmentation', true, results, ({ fragmentation }) => fragmentation),
    chartOf('Empty hosts', false, results, ({ emptyHosts }) => emptyHosts),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Berth: what a load does to a fleet</title>
<style>${STYLE}</style>
</head>
<body>
<h1>What a load does to a fleet</h1>
<p>${summary}</p>
<h2>Outcome, the best first</h2>
${outcomeTable(results)}
<p>Load is what everybody who would be there asks for, refused ones included, as a share of the
tightest class. Fragmentation is the share of mean requests that would fit if all free room were on
one host, and do not.</p>
<h2>Course</h2>
${charts.map(chartSvg).join('\n')}
<h2>Refused for</h2>
${reasonsTable(results)}
</body>
</html>
`;
}

const chartOf = (
  title: string,
  isShare: boolean,
  results: readonly ReplayResult[],
  valueOf: (sample: ReplaySample) => number,
): Chart => ({
  title,
  isShare,
  lines: results.map(({ strategy, samples }) => ({
    name: strategy,
    points: samples.map((sample) => ({ x: sample.atS, y: valueOf(sample) })),
  })),
});

function outcomeTable(results: readonly ReplayResult[]): string {
  const classes = Object.keys(results[0]?.peak ?? {});
  const heads = [
    ...['strategy', 'placed', 'refused', 'of amounts', 'first at load', '1 % at load'],
    ...classes.map((name) => `peak ${name}`),
    ...['fragmentation', 'empty hosts'],
  ];
  const rows = results.map((result) => [
    result.strategy,
    result.placed.toString(),
    result.refused.toString(),
    showShare(result.refusedVolume),
    result.firstRefusal === null ? '-' : showShare(result.firstRefusal.load),
    result.onePercent === null ? '-' : showShare(result.onePercent.load),
    ...classes.map((name) => showShare(result.peak[name] ?? 0)),
    showShare(result.fragmentation),
    result.emptyHosts.toFixed(1),
  ]);
  return tableHtml(heads, rows);
}

function reasonsTable(results: readonly ReplayResult[]): string {
  const reasons = [
    ...new Set(results.flatMap(({ refusedByReason }) => Object.keys(refusedByReason))),
  ];
  if (reasons.length === 0) return '<p>Nothing was refused.</p>';
  return tableHtml(
    ['reason', ...results.map(({ strategy }) => strategy)],
    reasons.map((reason) => [
      reason,
      ...results.map(({ refusedByReason }) => (refusedByReason[reason] ?? 0).toString()),
    ]),
  );
}

function tableHtml(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const rowOf = (cells: readonly string[], tag: 'th' | 'td') =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>${rowOf(heads, 'th')}${rows.map((row) => rowOf(row, 'td')).join('')}</table>`;
}
