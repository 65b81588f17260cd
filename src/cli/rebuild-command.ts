/** `berth rebuild`: the ledger made anew from the catalogue, or only how the two differ. */
import type { Command } from 'commander';
import { rebuildSchema, type RebuildBody } from '../wire/ops.js';
import { showAmount } from './amounts.js';
import type { CliContext } from './context.js';
import { counted, printJson, printLine, printTable } from './print.js';
import { examples, jsonOption, runCommand } from './run-command.js';
import { withSpinner } from './spinner.js';

/** A rebuild of a large fleet reads every allocation. */
const REBUILD_TIMEOUT_MS = 600_000;

interface RebuildOptions {
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function registerRebuildCommand(program: Command, context: CliContext): void {
  program
    .command('rebuild')
    .description('rebuild the ledger from the catalogue, beside live traffic')
    .option('--dry-run', 'change nothing; only tell how ledger and catalogue differ')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth rebuild --dry-run', 'berth rebuild'))
    .action(({ dryRun = false, json }: RebuildOptions) =>
      runCommand(context, async (client) => {
        const text = dryRun ? 'Comparing ledger and catalogue' : 'Rebuilding the ledger';
        const rebuild = await withSpinner(context, text, () =>
          client.call('POST', '/v1/ops/rebuild', rebuildSchema, {
            body: { dryRun },
            timeoutMs: REBUILD_TIMEOUT_MS,
          }),
        );
        if (json === true) printJson(context, rebuild);
        else printRebuild(context, rebuild);
      }),
    );
}

function printRebuild(context: CliContext, rebuild: RebuildBody): void {
  const { dryRun, durationMs, vms, hosts } = rebuild;
  const scope = `${counted(hosts.length, 'host')}, ${counted(vms, 'VM')}, ${Math.round(durationMs).toString()} ms`;
  printLine(
    context,
    dryRun ? `Compared, nothing changed (${scope}).` : `The ledger is rebuilt (${scope}).`,
  );
  const rows = hosts.flatMap(({ name, drift, driftAfter }) =>
    [...new Set([...Object.keys(drift), ...Object.keys(driftAfter ?? {})])].map((resource) => [
      name,
      resource,
      signed(resource, drift[resource] ?? 0),
      driftAfter === null ? '' : signed(resource, driftAfter[resource] ?? 0),
    ]),
  );
  if (rows.length === 0) {
    printLine(context, 'No drift: ledger and catalogue agree.');
    return;
  }
  printLine(context);
  printTable(
    context,
    [
      { head: 'HOST', flexible: true },
      { head: 'CLASS' },
      { head: 'DRIFT', align: 'right' },
      { head: dryRun ? '' : 'AFTER', align: 'right' },
    ],
    rows,
  );
  printLine(context);
  printLine(
    context,
    'Drift is ledger minus catalogue. VMs that are being created or deleted show for a moment.',
  );
}

const signed = (resource: string, amount: number): string =>
  `${amount > 0 ? '+' : ''}${showAmount(resource, amount)}`;
