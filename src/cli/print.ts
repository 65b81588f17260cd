/** What every command prints with: plain text, tables without borders, facts, JSON. */
import Table from 'cli-table3';
import type { CliContext } from './context.js';

/** Widest table; wider ones have their flexible columns cut. */
const WIDTH_MAX = 100;
/** A flexible column is not cut below this. */
const FLEXIBLE_WIDTH_MIN = 10;
const GAP = 2;

export interface Column {
  readonly head: string;
  readonly align?: 'left' | 'right';
  /** May be cut when the table is too wide. */
  readonly flexible?: true;
}

/** What moves the cursor of a terminal, or turns the direction of its text. */
const UNPRINTABLE = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;

/** Text of others on one line and without anything that a terminal would obey. */
export const plain = (text: string): string =>
  text.replaceAll(/[\n\r\t\u2028\u2029]+/g, ' ').replaceAll(UNPRINTABLE, '\ufffd');

export function printLine(context: CliContext, text = ''): void {
  context.stdout.write(`${text}\n`);
}

/** The API's own answer, for programs. */
export function printJson(context: CliContext, value: unknown): void {
  context.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Label and value, one a line, values in one column. */
export function printFacts(
  context: CliContext,
  facts: readonly (readonly [label: string, value: string])[],
): void {
  const width = Math.max(...facts.map(([label]) => label.length));
  for (const [label, value] of facts) {
    printLine(context, `${label.padEnd(width + GAP)}${plain(value)}`.trimEnd());
  }
}

/** A table with a line of heads, at most 100 characters wide where its columns allow. */
export function printTable(
  context: CliContext,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): void {
  const cells = rows.map((row) => row.map(plain));
  const table = new Table({
    head: columns.map(({ head }) => head),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    colWidths: widthsOf(columns, cells).map((width) => width + GAP),
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': GAP },
  });
  table.push(...cells.map((row) => [...row]));
  for (const line of table.toString().split('\n')) printLine(context, line.trimEnd());
}

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};

/** Width of each column's text: what it needs, the widest flexible one cut until all fit. */
function widthsOf(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): readonly number[] {
  const widths = columns.map(({ head }, at) =>
    Math.max(head.length, ...rows.map((row) => (row[at] ?? '').length)),
  );
  const room = WIDTH_MAX - GAP * (columns.length - 1);
  for (let excess = sum(widths) - room; excess > 0; excess -= 1) {
    let widest = -1;
    columns.forEach((column, at) => {
      if (column.flexible === true && (widths[at] ?? 0) > (widths[widest] ?? FLEXIBLE_WIDTH_MIN)) {
        widest = at;
      }
    });
    const width = widths[widest];
    if (width === undefined) break;
    widths[widest] = width - 1;
  }
  return widths;
}

const sum = (numbers: readonly number[]): number =>
  numbers.reduce((left, right) => left + right, 0);

/** The word with an `s` unless there is exactly one. */
export const counted = (count: number, word: string): string =>
  `${count.toString()} ${word}${count === 1 ? '' : 's'}`;
