/** Values, texts and bytes that are nearly right, or not at all; all of them follow from the seed. */
import type { Prng } from '../../src/std/prng.js';

const NUMBERS = [
  0,
  -0,
  1,
  -1,
  1.5,
  1e-9,
  1e300,
  -1e300,
  2 ** 31,
  2 ** 53,
  2 ** 53 - 1,
  Number.MAX_VALUE,
];

/** Texts that mean something to HTTP, SQL, Redis, JavaScript, JSON or a terminal. */
export const TEXTS = [
  '',
  ' ',
  'a',
  '\u0000',
  '\ud800',
  '\udc00x',
  '\u202e\u200b',
  '\u001b[31m',
  'é'.normalize('NFD'),
  '𝕍𝕄',
  "'; drop table vms; --",
  '{berth}:main:ledger',
  '__proto__',
  'constructor',
  'null',
  'NaN',
  '-1',
  '1e9',
  '../../etc/passwd',
  'http://169.254.169.254/',
  'http://[::1',
  '${7*7}',
  '%00',
  '%s%n',
  'a:b:c:d:e:f:g:h:i',
  'rsv-x',
  '2026-02-30T25:61:61Z',
  '\r\nX-Split: yes',
  'x'.repeat(64),
  'x'.repeat(5_000),
];

const KEYS = ['__proto__', 'constructor', 'toString', '', 'id', 'cpu', 'x'.repeat(300), '\u0000'];

const DEPTHS = [3, 40, 3_000];

export function anyValue(prng: Prng, depth = 0): unknown {
  const kind = prng.between(0, depth > 3 ? 4 : 6);
  if (kind === 0) return prng.pick(NUMBERS);
  if (kind === 1) return prng.pick(TEXTS);
  if (kind === 2) return prng.chance(0.5);
  if (kind === 3) return null;
  if (kind === 4) return prng.between(-1_000, 1_000_000);
  if (kind === 5)
    return Array.from({ length: prng.between(0, 4) }, () => anyValue(prng, depth + 1));
  return Object.fromEntries(
    Array.from({ length: prng.between(0, 4) }, () => [
      prng.chance(0.5) ? prng.pick(KEYS) : prng.pick(TEXTS),
      anyValue(prng, depth + 1),
    ]),
  );
}

/** A copy in which something is otherwise: a value, its type, a key that is gone, one too many. */
export function mutated(prng: Prng, value: unknown): unknown {
  if (prng.chance(0.08)) return anyValue(prng);
  if (Array.isArray(value)) {
    const items = [...(value as readonly unknown[])];
    const at = prng.between(0, items.length);
    if (at === items.length || prng.chance(0.2)) items.push(anyValue(prng));
    else items[at] = mutated(prng, items[at]);
    return items;
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value);
    if (entries.length === 0 || prng.chance(0.1)) {
      entries.push([prng.pick(KEYS), anyValue(prng)]);
    } else {
      const at = prng.between(0, entries.length - 1);
      const entry = entries[at];
      if (entry === undefined || prng.chance(0.15)) entries.splice(at, 1);
      else entries[at] = [entry[0], mutated(prng, entry[1])];
    }
    return Object.fromEntries(entries);
  }
  if (typeof value === 'string' && prng.chance(0.5)) return mutatedText(prng, value);
  return anyValue(prng);
}

export function mutatedText(prng: Prng, text: string): string {
  const at = prng.between(0, text.length);
  const put = prng.pick(TEXTS);
  return prng.pick([
    text.slice(0, at),
    text.slice(0, at) + put + text.slice(at),
    text.toUpperCase(),
    text.repeat(20),
    put,
  ]);
}

/** JSON text of a value, or nearly: cut off, doubled keys, numbers beyond all bounds, deep nests. */
export function jsonLike(prng: Prng, value: unknown): Buffer {
  const json = JSON.stringify(value);
  const text = (json as string | undefined) ?? 'null';
  switch (prng.between(0, 11)) {
    case 0:
      return Buffer.from(text.slice(0, prng.between(0, text.length)));
    case 1:
      return Buffer.from(text.replace('{', '{"id":"twice","id":"twice",'));
    case 2:
      return Buffer.from(text.replace(/\d+/, '1e999'));
    case 3:
      return Buffer.from(text.replace('{', '{"__proto__":{"cpu":1},'));
    case 4: {
      const depth = prng.pick(DEPTHS);
      return Buffer.from(`${'['.repeat(depth)}${text}${']'.repeat(depth)}`);
    }
    case 5: {
      const bytes = Buffer.from(text);
      if (bytes.length > 0) bytes[prng.between(0, bytes.length - 1)] = prng.between(0, 255);
      return bytes;
    }
    case 6:
      return Buffer.from(text, 'utf16le');
    case 7:
      return Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text)]);
    default:
      return Buffer.from(text);
  }
}
