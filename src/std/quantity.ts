/**
 * Sizes and rates as people write them: `500GB`, `10Gbps`, `125MB/s`. One grammar for all of them, so
 * that one text never means two amounts:
 *
 *   size = number [bytes]                  1, 10B, 500GB, 1.5 GiB, 2 gigabytes
 *   rate = number [bytes] ["/s"]           125MB/s, 1 GiB/s, 100
 *        | number [prefix] ("bps" | "bit/s")   10Gbps, 2.5 Gbps, 100Mbit/s
 *
 * Bytes count in powers of two, with and without the `i`, as memory and disks of VMs are counted; bits
 * in powers of ten, as links are sold. What can be read in two ways is refused with the right ways.
 */

/** A text that is no amount; the message says why, and what would be one. */
export class QuantityError extends Error {
  override readonly name = 'QuantityError';
}

const BITS_PER_BYTE = 8;
const POWERS = ['', 'k', 'm', 'g', 't', 'p', 'e'] as const;
const WORDS = ['', 'kilo', 'mega', 'giga', 'tera', 'peta', 'exa'] as const;

/** ASCII digits only; no sign, no exponent, no separators. */
const AMOUNT = /^([0-9]{1,30})(?:\.([0-9]{1,9}))?[ \t]*(.*)$/s;

/**
 * Bytes of a size.
 * @throws QuantityError
 */
export function parseSize(text: string): number {
  const { digits, fraction, unit } = partsOf(text, 'a size such as 500GB or 64GiB');
  if (/(bps|\/s|bit)/i.test(unit)) {
    throw new QuantityError(`${quoted(text)} is a rate; a size is such as 500GB`);
  }
  return whole(text, digits, fraction, bytesOf(text, unit, ''), 1n);
}

/**
 * Bytes per second of a rate.
 * @throws QuantityError
 */
export function parseRate(text: string): number {
  const { digits, fraction, unit } = partsOf(text, 'a rate such as 10Gbps or 125MB/s');
  const bits = bitsOf(text, unit);
  if (bits !== null) return whole(text, digits, fraction, bits, BigInt(BITS_PER_BYTE));
  const bytes = unit.replace(/[ \t]*\/s$/i, '');
  if (/(bps|bit\/s)$/i.test(bytes)) throw unknownUnit(text, unit);
  // Behind a prefix, a small `b` per second is how bits are written, whatever the prefix looks like.
  const [, prefix] = bytes === unit ? [] : (/^([kmgtpe])i?b$/i.exec(bytes.trim()) ?? []);
  if (prefix !== undefined && bytes.trim().endsWith('b')) {
    throw ambiguous(text, `${prefix}B/s for bytes, ${prefix}bps for bits`);
  }
  return whole(text, digits, fraction, bytesOf(text, bytes, '/s'), 1n);
}

interface Parts {
  readonly digits: string;
  readonly fraction: string;
  readonly unit: string;
}

function partsOf(text: string, example: string): Parts {
  const trimmed = text.trim();
  if (trimmed === '') throw new QuantityError(`is empty: write ${example}`);
  if (trimmed.startsWith('-')) throw new QuantityError(`${quoted(text)} must not be negative`);
  const [, digits, fraction = '', unit = ''] = AMOUNT.exec(trimmed) ?? [];
  if (digits === undefined) throw new QuantityError(`${quoted(text)} is not ${example}`);
  return { digits, fraction, unit };
}

/** Bits that a unit stands for; null when it is not one of bits. */
function bitsOf(text: string, unit: string): bigint | null {
  const [, prefix, ending] = /^([a-z]?)[ \t]*(bps|bit\/s)$/i.exec(unit) ?? [];
  if (prefix === undefined || ending === undefined) return null;
  // `GBps`: its capital says bytes, its shape bits. All in capitals is only loud.
  const isShouted = unit === unit.toUpperCase();
  if (ending.startsWith('B') && !isShouted) {
    throw ambiguous(text, `${prefix}bps for bits, ${prefix}B/s for bytes`);
  }
  const power = POWERS.indexOf(prefix.toLowerCase() as (typeof POWERS)[number]);
  if (power < 0) throw unknownUnit(text, unit);
  return 1000n ** BigInt(power);
}

/** Bytes that a unit stands for. */
function bytesOf(text: string, unit: string, perSecond: '' | '/s'): bigint {
  const name = unit.trim();
  // A small `b` behind a capital is how bits are written.
  const [, prefix] = /^([KMGTPE])i?b$/.exec(name) ?? [];
  if (prefix !== undefined) {
    const bits = perSecond === '' ? '' : `, ${prefix}bps for bits`;
    throw ambiguous(text, `${prefix}B${perSecond} for bytes${bits}`);
  }
  const lower = name.toLowerCase();
  const word = WORDS.findIndex((known) => lower === `${known}byte` || lower === `${known}bytes`);
  const power = POWERS.findIndex((known) =>
    [known, `${known}b`, ...(known === '' ? [] : [`${known}i`, `${known}ib`])].includes(lower),
  );
  if (word < 0 && power < 0) throw unknownUnit(text, name);
  return 1024n ** BigInt(Math.max(word, power));
}

/** `digits.fraction × factor ÷ divisor`, rounded down, exactly. */
function whole(
  text: string,
  digits: string,
  fraction: string,
  factor: bigint,
  divisor: bigint,
): number {
  const scale = 10n ** BigInt(fraction.length);
  const scaled = BigInt(`${digits}${fraction}`) * factor;
  const amount = scaled / (scale * divisor);
  if (amount > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new QuantityError(`${quoted(text)} is too large`);
  }
  if (amount === 0n && scaled > 0n) {
    throw new QuantityError(`${quoted(text)} is less than one byte`);
  }
  return Number(amount);
}

const ambiguous = (text: string, right: string): QuantityError =>
  new QuantityError(`${quoted(text)} may mean bits or bytes: write ${right}`);

const unknownUnit = (text: string, unit: string): QuantityError =>
  new QuantityError(
    `${quoted(text)} has the unit ${quoted(unit)}, which is not known: write B, kB, MB, GB, TB or KiB, MiB …, and of a rate also kbps, Mbps, Gbps`,
  );

/** A text in a message, cut where it is long. */
function quoted(text: string): string {
  const shown = JSON.stringify(text.trim());
  return shown.length <= 42 ? shown : `${shown.slice(0, 40)}…"`;
}

const BITS_PER_MBIT = 1_000_000;

/** Bytes per second of a link, from the Mbit/s that its driver says; null when it says nothing. */
export function parseLinkSpeed(text: string): number | null {
  const digits = /^([0-9]{1,9})$/.exec(text.trim())?.[1];
  const mbits = Number(digits ?? 0);
  return mbits === 0 ? null : (mbits * BITS_PER_MBIT) / BITS_PER_BYTE;
}
