/**
 * Values as a column of JSON keeps them: copied and frozen on the way in, so that they may be handed
 * out as they are. Does what PostgreSQL and the catalogue's `jsonOf` do to odd ones.
 */

const REPLACEMENT = '\u{FFFD}';
const ODD = /[\0\uD800-\uDFFF]/;

/** A text without what jsonb cannot keep: NUL, and half of a surrogate pair. */
export const keptText = (text: string): string =>
  // Most texts are plain, and the exact look is slow.
  ODD.test(text)
    ? text.replaceAll('\0', REPLACEMENT).replaceAll(/\p{Surrogate}/gu, REPLACEMENT)
    : text;

/** A deep copy that nobody can change. What is no number becomes null, as in every JSON text. */
export const kept = <T>(value: T): T => copyOf(value) as T;

function copyOf(value: unknown): unknown {
  if (typeof value === 'string') return keptText(value);
  // There is no negative zero in it either.
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : null;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return Object.freeze(value.map(copyOf));
  if (value instanceof Date) return value.toISOString();
  const source = value as Readonly<Record<string, unknown>>;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(source)) {
    const member = source[key];
    if (member !== undefined) copy[key] = copyOf(member);
  }
  return Object.freeze(copy);
}

/** Whether two values would make the same JSON, whatever the order of their members. */
export function isSame(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object') return false;
  if (left === null || right === null || Array.isArray(left) !== Array.isArray(right)) return false;
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  const before = left as Readonly<Record<string, unknown>>;
  const after = right as Readonly<Record<string, unknown>>;
  return keys.every((key) => Object.hasOwn(after, key) && isSame(before[key], after[key]));
}

/** @throws Error as the database does for what is no bigint */
export function wholeNumber(value: number): number {
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 63) return value;
  throw new Error(`invalid input syntax for type bigint: "${String(value)}"`);
}
