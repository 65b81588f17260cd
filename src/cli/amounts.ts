/** Amounts as people write and read them: `2GiB`, `1536MiB`, `0.25`. */
import { InvalidArgumentError } from 'commander';
import { RESOURCE_CLASS_PATTERN } from '../model/ids.js';
import { AMOUNT_MAX, UNIT_OF_CLASS, type ResourceClass } from '../model/resources.js';

const MIB_PER_GIB = 1_024;
const MIB_PER_TIB = 1_024 * MIB_PER_GIB;

/** By lower-case suffix. A bare number counts MiB, as in the API. */
const MIB_OF_SUFFIX: Readonly<Record<string, number>> = {
  '': 1,
  m: 1,
  mi: 1,
  mib: 1,
  g: MIB_PER_GIB,
  gi: MIB_PER_GIB,
  gib: MIB_PER_GIB,
  t: MIB_PER_TIB,
  ti: MIB_PER_TIB,
  tib: MIB_PER_TIB,
};

const SIZE = /^(\d{1,16}(?:\.\d{1,6})?)\s*([a-z]*)$/i;
/** Powers of ten elsewhere: taking them for powers of two would book the wrong amount. */
const DECIMAL_SUFFIX = /^[kmgtp]b$/i;

/**
 * A size in MiB from `2048`, `512MiB`, `2GiB`, `10G`, `1.5TiB`.
 * @throws InvalidArgumentError with what would be right
 */
export function parseSizeMib(text: string): number {
  const [, digits, suffix] = SIZE.exec(text.trim()) ?? [];
  if (digits === undefined || suffix === undefined) {
    throw new InvalidArgumentError('It must be a size such as 2048 (MiB), 512MiB or 2GiB.');
  }
  if (DECIMAL_SUFFIX.test(suffix)) {
    const right = `${suffix.charAt(0).toUpperCase()}iB`;
    throw new InvalidArgumentError(`${suffix} is a power of ten; write ${right}.`);
  }
  const factor = MIB_OF_SUFFIX[suffix.toLowerCase()];
  if (factor === undefined) {
    throw new InvalidArgumentError(`${suffix} is not a unit here; use MiB, GiB or TiB.`);
  }
  const mib = Number(digits) * factor;
  if (!Number.isInteger(mib)) {
    throw new InvalidArgumentError('It must be a whole number of MiB.');
  }
  return inRange(mib);
}

/** @throws InvalidArgumentError */
export function parseCount(text: string): number {
  if (!/^\d{1,16}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return inRange(Number(text));
}

function inRange(amount: number): number {
  if (amount < 1) throw new InvalidArgumentError('It must be at least 1.');
  if (amount > AMOUNT_MAX) throw new InvalidArgumentError('It is too large.');
  return amount;
}

/**
 * Adds one `class=amount`, such as `gpu=1`, to those that came before.
 * @throws InvalidArgumentError
 */
export function collectAmount(
  text: string,
  before: Readonly<Record<string, number>> = {},
): Readonly<Record<string, number>> {
  const [name = '', amount = ''] = splitPair(text);
  if (!RESOURCE_CLASS_PATTERN.test(name)) {
    throw new InvalidArgumentError('It must be a class and an amount, such as gpu=1.');
  }
  return { ...before, [name]: countsMib(name) ? parseSizeMib(amount) : parseCount(amount) };
}

/** The two sides of the first `=`; an empty list when there is none. */
export function splitPair(text: string): readonly string[] {
  const at = text.indexOf('=');
  return at < 0 ? [] : [text.slice(0, at), text.slice(at + 1)];
}

const countsMib = (resource: ResourceClass): boolean => UNIT_OF_CLASS[resource] === 'MiB';

/** An amount of a class for people: `2GiB`, `1536MiB`, `4`. May be negative: a drift. */
export function showAmount(resource: ResourceClass, amount: number): string {
  if (!countsMib(resource)) return Number(amount.toFixed(2)).toString();
  const size = Math.abs(amount);
  if (size >= MIB_PER_TIB) return inUnit(amount, MIB_PER_TIB, 'TiB');
  // Small sizes stay exact; of large ones a tenth of a GiB tells enough.
  if (size >= 10 * MIB_PER_GIB || (size >= MIB_PER_GIB && size % MIB_PER_GIB === 0)) {
    return inUnit(amount, MIB_PER_GIB, 'GiB');
  }
  return `${Number(amount.toFixed(2)).toString()}MiB`;
}

const inUnit = (amountMib: number, unitMib: number, unit: string): string =>
  `${Number((amountMib / unitMib).toFixed(1)).toString()}${unit}`;

/** A share as a percentage: `75%`. */
export const showShare = (share: number): string =>
  `${Number((share * 100).toFixed(1)).toString()}%`;
