/** `berth verify`: what is wrong in the books, and its repair. */
import type { Command } from 'commander';
import { verifySchema, type FindingBody, type VerifyBody } from '../wire/verify.js';
import { showAmount } from './amounts.js';
import type { CliContext } from './context.js';
import { CliFailure, EXIT } from './failure.js';
import { counted, plain, printJson, printLine } from './print.js';
import { examples, jsonOption, runCommand } from './run-command.js';
import { withSpinner } from './spinner.js';

/** It reads every booking, several times when much is going on; a repair may rebuild the ledger. */
const VERIFY_TIMEOUT_MS = 600_000;

interface VerifyOptions {
  readonly repair?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

export function registerVerifyCommand(program: Command, context: CliContext): void {
  program
    .command('verify')
    .description('look for what is wrong in catalogue, ledger and reports of the hosts')
    .option('--repair', 'tell what would be mended; with --yes, mend it')
    .option('--yes', 'with --repair: really do it')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `\nEnds with 1 when something is wrong and was not mended. docs/verify.md explains each code.\n${examples('berth verify', 'berth verify --repair', 'berth verify --repair --yes')}`,
    )
    .action(({ repair = false, yes = false, json = false }: VerifyOptions) =>
      runCommand(context, async (client) => {
        if (yes && !repair) throw new CliFailure(EXIT.usage, '--yes goes with --repair.');
        const text = yes ? 'Repairing the books' : 'Verifying the books';
        const report = await withSpinner(context, text, () =>
          client.call(repair ? 'POST' : 'GET', '/v1/ops/verify', verifySchema, {
            ...(repair ? { body: { dryRun: !yes } } : {}),
            timeoutMs: VERIFY_TIMEOUT_MS,
          }),
        );
        if (json) printJson(context, report);
        else printReport(context, report, repair);
        failIfWrong(report, repair);
      }),
    );
}

const isLeft = ({ repaired }: FindingBody): boolean => repaired !== true;

function failIfWrong({ dryRun, findings }: VerifyBody, repair: boolean): void {
  const left = findings.filter(isLeft);
  if (left.length === 0) return;
  const mendable = left.some(({ repairable }) => repairable);
  const command = repair ? 'berth verify --repair --yes' : 'berth verify --repair';
  throw new CliFailure(EXIT.failure, `${counted(left.length, 'finding')} left.`, {
    ...(dryRun && mendable ? { hint: `${command} mends what can be mended by itself` } : {}),
  });
}

function printReport(context: CliContext, report: VerifyBody, repair: boolean): void {
  const { dryRun, durationMs, hosts, bookings, unchecked, findings } = report;
  const scope = `${counted(hosts, 'host')}, ${counted(bookings, 'booking')}, ${durationMs.toString()} ms`;
  const done = dryRun ? 'Verified, nothing changed' : 'Verified and repaired';
  printLine(context, `${done} (${scope}).`);
  if (unchecked > 0) {
    printLine(
      context,
      `The ledger could not be judged for ${counted(unchecked, 'host')}: it changes all the time, or is being rebuilt.`,
    );
  }
  if (findings.length === 0) {
    printLine(context, 'Nothing is wrong.');
    return;
  }
  for (const finding of findings) {
    printLine(context);
    printFinding(context, finding, repair);
  }
}

function printFinding(context: CliContext, finding: FindingBody, repair: boolean): void {
  const { code, subject, detail, expected, found, repairable, repaired } = finding;
  const name = subject.name === undefined ? subject.id : `${subject.name} (${subject.id})`;
  const fate =
    repaired === true
      ? ' [mended]'
      : repaired === false
        ? ' [not mended]'
        : repair && repairable
          ? ' [would be mended]'
          : '';
  const lines = [
    `${code}  ${subject.kind} ${name}${fate}`,
    `  ${detail}`,
    ...(expected === undefined ? [] : [`  expected: ${factsOf(expected)}`]),
    ...(found === undefined ? [] : [`  found:    ${factsOf(found)}`]),
  ];
  for (const line of lines) printLine(context, plain(line));
}

function factsOf(facts: Readonly<Record<string, string | number>>): string {
  const shown = Object.entries(facts).map(
    ([key, value]) => `${key} ${typeof value === 'number' ? showAmount(key, value) : value}`,
  );
  return shown.length === 0 ? 'nothing' : shown.join(', ');
}
