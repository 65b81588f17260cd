/** A host as the ledger keeps it in a hash, and as the mirrors read it. */
import { isOpen, type HostFacts } from '../model/host.js';
import type { Resources } from '../model/resources.js';

/** What set-host is told of a host. */
export const openFlag = (facts: HostFacts): '1' | '0' => (isOpen(facts) ? '1' : '0');

/** Amounts as decimal text: Lua's own number formatting would round beyond 14 digits. */
export const amountsAsText = (amounts: Resources): string =>
  JSON.stringify(
    Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, amount.toString()])),
  );

/** The fields of a host's hash, for a ledger that is built anew. */
export function hashOfHost(facts: HostFacts, used: Resources): Record<string, string> {
  const hash: Record<string, string> = {
    revision: facts.revision.toString(),
    up: openFlag(facts),
    facts: JSON.stringify(facts),
  };
  for (const [name, limit] of Object.entries(facts.limits))
    hash[`limit:${name}`] = limit.toString();
  for (const [name, amount] of Object.entries(used)) hash[`used:${name}`] = amount.toString();
  return hash;
}

/**
 * @returns null for an empty hash: the host is gone
 * @throws Error when it cannot be read
 */
export function hostOfHash(hash: Readonly<Record<string, string>>): {
  readonly facts: HostFacts;
  readonly used: Resources;
} | null {
  if (hash.facts === undefined) return null;
  return { facts: JSON.parse(hash.facts) as HostFacts, used: usedOfHash(hash, amountOf) };
}

/** @throws RangeError for what is no amount: nothing that is computed with it could be believed */
function amountOf(text: string): number {
  const amount = Number(text);
  if (!Number.isSafeInteger(amount)) throw new RangeError(`${text.slice(0, 40)} is no amount`);
  return amount;
}

/** For comparisons: what is no amount differs from whatever should be there, and stops nobody. */
function amountOrNone(text: string): number {
  const amount = Number(text);
  return Number.isSafeInteger(amount) ? amount : 0;
}

/** What is booked on the host, from the `used:` fields of its hash. */
export function usedOfHash(
  hash: Readonly<Record<string, string>>,
  read: (text: string) => number = amountOrNone,
): Resources {
  const used: Record<string, number> = {};
  for (const [field, value] of Object.entries(hash)) {
    if (field.startsWith('used:')) used[field.slice('used:'.length)] = read(value);
  }
  return used;
}

/** Sums per host as scripts write them: JSON of host id → class → amount as text. */
export function* sumsOf(json: string): Generator<readonly [hostId: string, used: Resources]> {
  const sums = JSON.parse(json) as Record<string, Record<string, string>>;
  for (const [hostId, texts] of Object.entries(sums)) {
    const used: Record<string, number> = {};
    for (const [name, text] of Object.entries(texts)) used[name] = amountOf(text);
    yield [hostId, used];
  }
}
