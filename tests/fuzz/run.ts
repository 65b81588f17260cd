/**
 * `npm run fuzz -- --requests 100000 --seed 1`: a table, and one JSON line. Ends with 1 when an answer
 * was wrong, the control plane ended, its books are not right, or its memory grew.
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { startPostgres, SERVER_VARIABLE } from '../support/postgres.js';
import { fuzz, type FuzzReport } from './fuzz.js';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
  },
});

/** Of what is in use after a warm-up: some is work that happens to be under way. */
const GROWTH_MAX = 1.1;

/** The last three samples against the third to fifth: the first ones are still warming up. */
function growthOf({ usedMiB }: FuzzReport): number {
  const mean = (samples: readonly number[]) =>
    samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
  return mean(usedMiB.slice(-3)) / mean(usedMiB.slice(2, 5));
}

function print(report: FuzzReport, growth: number): void {
  const { requests, seconds, statuses, faultCount, faults, usedMiB, rssMiB, findings, alive } =
    report;
  const table = new Table({ head: ['answer', 'times'], style: { head: [], border: [] } });
  for (const [status, times] of Object.entries(statuses)) table.push([status, times]);
  const rows = [
    table.toString(),
    ...faults,
    `wrong answers: ${faultCount.toString()}; alive: ${String(alive)}; findings of verify: ${findings.length.toString()}`,
    ...findings.slice(0, 10).map((finding) => JSON.stringify(finding)),
    `in use: ${usedMiB.join(', ')} MiB (growth after warm-up ${growth.toFixed(2)})`,
    `resident: ${rssMiB.join(', ')} MiB`,
    JSON.stringify({
      fuzz: 'api and agent',
      seed: values.seed,
      requests,
      seconds,
      statuses,
      faultCount,
      findings: findings.length,
      alive,
      usedMiB,
      rssMiB,
      growth,
    }),
  ];
  process.stdout.write(`${rows.join('\n')}\n`);
}

const postgres = await startPostgres();
process.env[SERVER_VARIABLE] = postgres.url;
try {
  const report = await fuzz({
    requests: Number(values.requests),
    seed: values.seed,
    onProgress: (done) => process.stderr.write(`${done.toString()} requests\n`),
  });
  const growth = growthOf(report);
  print(report, growth);
  const { faultCount, findings, alive } = report;
  const isWrong = faultCount > 0 || findings.length > 0 || !alive || growth > GROWTH_MAX;
  process.exitCode = isWrong ? 1 : 0;
} finally {
  await postgres.stop();
}
process.exit();
