/** What to tell of a matrix: a table of sites and faults, the gaps in it, and each failure. */
import { SITES, UNDOS } from './coverage.js';
import type { Case, Column, Failure, MatrixReport } from './matrix.js';
import { MODES, type PlannedFault, type Site } from './planned-calls.js';

const COLUMNS: readonly Column[] = [...MODES, 'twice-late', 'again'];

/** Sites that some journey should have reached, or at which a fault is missing. */
export function gapsIn(
  { injected }: Pick<MatrixReport, 'injected'>,
  modes: readonly Column[] = MODES,
): readonly string[] {
  const gaps: string[] = [];
  for (const site of new Set([...SITES, ...injected.keys()])) {
    const wanted = UNDOS.has(site) ? [...modes, 'twice-late' as const] : modes;
    const row = injected.get(site);
    if (row === undefined) gaps.push(`${site} was never called`);
    else for (const mode of wanted) if (!row.has(mode)) gaps.push(`${site} had no ${mode}`);
  }
  return gaps;
}

/** How often each fault befell each site, as text. */
export function tableOf({ injected }: Pick<MatrixReport, 'injected'>): string {
  const sites = [...injected.keys()].sort();
  const width = Math.max(...sites.map(({ length }) => length));
  const line = (name: string, cells: readonly string[]) =>
    [name.padEnd(width), ...cells.map((cell, at) => cell.padStart(widthOf(COLUMNS[at])))].join(
      '  ',
    );
  const rows = sites.map((site) =>
    line(
      site,
      COLUMNS.map((column) => (injected.get(site)?.get(column) ?? 0).toString()),
    ),
  );
  return [line('site', COLUMNS), ...rows].join('\n');
}

const widthOf = (column: Column | undefined): number => (column ?? '').length;

/** A fault as the command line has it: `catalogue.record#1:reply-lost`; `+`: counted anew. */
export const textOfFault = ({ site, nth, mode, again }: PlannedFault): string =>
  `${again === true ? '+' : ''}${site}#${nth.toString()}:${mode}`;

const FAULT_PATTERN = /^(\+?)((?:ledger|catalogue|agents)\.[A-Za-z]+)#([1-9][0-9]*):([a-z-]+)$/;

/** @throws Error when it is no fault */
export function faultOfText(text: string): PlannedFault {
  const [, again, site, nth, name] = FAULT_PATTERN.exec(text) ?? [];
  const mode = [...MODES, 'twice-late' as const].find((known) => known === name);
  if (site === undefined || mode === undefined) {
    const modes = [...MODES, 'twice-late'].join(', ');
    throw new Error(
      `--fault must be like catalogue.record#1:reply-lost, with one of ${modes}; not ${text}`,
    );
  }
  return { site: site as Site, nth: Number(nth), mode, ...(again === '+' ? { again: true } : {}) };
}

/** The command that runs a case once more. */
export const replayOf = ({ journey, replicas, faults, latencySeed }: Case): string =>
  [
    `npm run crashpoints -- --journey ${journey.name} --replicas ${replicas.toString()}`,
    ...faults.map((fault) => `--fault ${textOfFault(fault)}`),
    ...(latencySeed === null ? [] : [`--latency ${latencySeed.toString()}`]),
  ].join(' ');

/** A failure, for people: what was broken, how to see it again, and what led to it. */
export const describeFailure = ({ of, report }: Failure): string =>
  [
    `${of.journey.name} with ${of.replicas.toString()} replicas breaks`,
    ...report.violations.map(
      ({ rule, detail, atMs }) => `  ${rule} at ${(atMs / 1_000).toFixed(3)} s: ${detail}`,
    ),
    `again: ${replayOf(of)}`,
    'before it:',
    ...report.lastLines.map((line) => `  ${line}`),
  ].join('\n');
