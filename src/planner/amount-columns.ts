/**
 * Which columns of a table hold amounts, and how an amount is read. Two layouts: ours, with a column
 * per resource class, and that of the openb traces, known by its column `cpu_milli`.
 */
import { RESOURCE_CLASS_PATTERN } from '../model/ids.js';
import { AMOUNT_MAX, unitOf, type ResourceClass } from '../model/resources.js';
import { FileFault, type CsvRow, type CsvTable } from './csv.js';

interface AmountColumn {
  readonly column: string;
  readonly resource: ResourceClass;
  /** How many units of the class one unit of the column is. */
  readonly unit: number;
}

export interface ReadOptions {
  /**
   * Amounts are counted in this part of a unit, per class: 1000 for `cpu` counts thousandths of a
   * vCPU. Whole units where absent.
   */
  readonly parts: Readonly<Record<ResourceClass, number>>;
  /** Only these; all where absent. */
  readonly classes?: readonly ResourceClass[];
}

/** Thousandths, for replays: traces ask for parts of a CPU. Rankings look at shares only. */
export const MILLI_PARTS: ReadOptions['parts'] = { cpu: 1_000, gpu: 1_000 };

const MIB_PER_GIB = 1_024;

/** A column of openb tables means this; the other columns there mean nothing to us. */
const OPENB: Readonly<Record<string, Omit<AmountColumn, 'column'>>> = {
  cpu_milli: { resource: 'cpu', unit: 0.001 },
  mem_mib: { resource: 'memory', unit: 1 },
  memory_mib: { resource: 'memory', unit: 1 },
  disk_gib: { resource: 'disk', unit: MIB_PER_GIB },
  gpu_milli: { resource: 'gpu', unit: 0.001 },
};

export const isOpenb = ({ columns }: CsvTable): boolean => columns.includes('cpu_milli');

/**
 * @param others columns that hold something else
 * @throws FileFault for a column that is neither
 */
export function amountColumns(
  table: CsvTable,
  others: readonly string[],
  { classes }: ReadOptions,
): readonly AmountColumn[] {
  const found = isOpenb(table)
    ? table.columns.flatMap((column) => {
        const known = OPENB[column];
        return known === undefined ? [] : [{ column, ...known }];
      })
    : table.columns
        .filter((column) => !others.includes(column))
        .map((column) => {
          if (!RESOURCE_CLASS_PATTERN.test(column)) {
            const known = others.join(', ');
            throw new FileFault(
              table.file,
              1,
              column,
              `is no column known here; use ${known}, or a resource class such as cpu, memory, disk`,
            );
          }
          return { column, resource: column, unit: 1 };
        });
  const asked = found.filter(({ resource }) => classes?.includes(resource) !== false);
  if (asked.length === 0) {
    throw new FileFault(table.file, 1, null, 'names no resource class, such as cpu, memory, disk');
  }
  return asked;
}

/** The amounts of a row; classes of 0 are absent. @throws FileFault */
export function amountsOf(
  { file }: CsvTable,
  row: CsvRow,
  columns: readonly AmountColumn[],
  { parts }: ReadOptions,
): Record<ResourceClass, number> {
  const amounts: Record<ResourceClass, number> = {};
  for (const { column, resource, unit } of columns) {
    const text = row.cells.get(column);
    if (text === undefined) continue;
    const amount = amountOf(text, resource, unit * (parts[resource] ?? 1));
    if (amount === null) {
      throw new FileFault(file, row.line, column, `"${text}" ${ruleOf(resource, unit, parts)}`);
    }
    if (amount > 0) amounts[resource] = amount;
  }
  return amounts;
}

const NUMBER = /^(\d{1,15}(?:\.\d{1,6})?)\s*(MiB|GiB|TiB)?$/;
const MIB_OF: Readonly<Record<string, number>> = {
  MiB: 1,
  GiB: MIB_PER_GIB,
  TiB: MIB_PER_GIB * MIB_PER_GIB,
};

/** @returns null when it is no whole amount of the class */
function amountOf(text: string, resource: ResourceClass, times: number): number | null {
  const [, digits, suffix] = NUMBER.exec(text) ?? [];
  if (digits === undefined) return null;
  if (suffix !== undefined && (unitOf(resource) !== 'MiB' || times !== 1)) return null;
  const exact = Number(digits) * (suffix === undefined ? times : (MIB_OF[suffix] ?? 0));
  const amount = Math.round(exact);
  // Half a MiB is a mistake; what is lost in the last bits of a product is none.
  return Math.abs(exact - amount) > 1e-6 || amount > AMOUNT_MAX ? null : amount;
}

function ruleOf(resource: ResourceClass, unit: number, parts: ReadOptions['parts']): string {
  if (unit === 0.001 && parts[resource] === undefined) {
    return `must be a multiple of 1000 here: whole ${unitOf(resource)}`;
  }
  if (unit !== 1) return 'must be a whole number';
  if (unitOf(resource) === 'MiB') return 'must be a whole number of MiB, such as 4096, or 4GiB';
  return parts[resource] === undefined
    ? `must be a whole number of ${unitOf(resource)}, such as 4`
    : `must be a number of ${unitOf(resource)} with at most three decimals, such as 4 or 0.5`;
}
