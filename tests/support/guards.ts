/**
 * The guards of a booking (lock, script, transaction), taken away one by one where they meet Redis
 * and PostgreSQL, and places to hold a booker still. The product has no switch for it: a check is
 * taken out of the text of the script or of the function, and it is an error when it is not there.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import pg from 'pg';

export type ScriptCheck = 'incarnation' | 'fence' | 'limits';
export type TransactionCheck = 'epoch' | 'limits';

/** What is replaced by what, so that the check finds nothing wrong. */
const CHECKS: Readonly<Record<ScriptCheck, readonly (readonly [string, string])[]>> = {
  incarnation: [
    ['if incarnation ~= ARGV[1] then', 'if false then'],
    // The keys of another ledger are other ones: it is led to those of the one in place.
    [
      'books.prefix = cjson.decode(ARGV[5])',
      `local ledger = string.match(KEYS[1], '^(.*)ledger$') .. incarnation .. ':'
      books.prefix = { host = ledger .. 'host:', vm = ledger .. 'vm:', group = ledger .. 'group:' }`,
    ],
  ],
  fence: [['if tonumber(fence or 0) > tonumber(ARGV[2]) then', 'if false then']],
  limits: [
    ['if used > (host.limit[class] or 0) then', 'if false then'],
    ['if used + amount > limit then', 'if false then'],
  ],
};

interface Cut {
  readonly name: string;
  readonly cuts: readonly (readonly [string, string])[];
}

/** Plain creates have a function of their own, with the same checks. */
const FUNCTIONS: Readonly<Record<TransactionCheck, readonly Cut[]>> = {
  epoch: [
    { name: 'record_bookings', cuts: [['where epoch = expected_epoch', 'where true']] },
    { name: 'record_creates', cuts: [['where epoch = expected_epoch', 'where true']] },
  ],
  limits: [
    {
      name: 'room_refusal',
      cuts: [
        ["return 'closed';", 'return null;'],
        ['return result;', 'return null;'],
      ],
    },
    {
      name: 'record_creates',
      cuts: [['bool_or(present > most or (more > 0 and present + more > most))', 'false']],
    },
  ],
};

export interface RedisGuards {
  readonly lock: boolean;
  readonly script: readonly ScriptCheck[];
}

export interface Watch {
  /** Awaited before each booking script is sent: after all that the booker checks himself. */
  readonly beforeBooking?: () => Promise<void>;
  /** Somebody found the placement lock held. */
  readonly onLockHeld?: () => void;
}

type Evalsha = (
  this: Redis,
  sha: string,
  keyCount: number,
  ...words: unknown[]
) => Promise<unknown>;

const textOf = (path: string): string =>
  readFileSync(new URL(`../../src/ledger/${path}`, import.meta.url), 'utf8');

function replaced(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`there is no check to take out: ${from}`);
  return text.replace(from, () => to);
}

/**
 * From here on all clients of this process meet only these guards in Redis.
 * @returns how to give the others back, and how many bookings were sent
 */
export function keepOnly(
  { lock, script }: RedisGuards,
  watch: Watch = {},
): { readonly bookings: () => number; restore(): void } {
  const original = `${textOf('books.lua')}\n${textOf('scripts/reserve.lua')}`;
  const sha1 = createHash('sha1').update(original).digest('hex');
  let variant = original;
  for (const [check, cuts] of Object.entries(CHECKS)) {
    if (script.includes(check as ScriptCheck)) continue;
    for (const [from, to] of cuts) variant = replaced(variant, from, to);
  }
  const sent = Redis.prototype.evalsha as unknown as Evalsha;
  let bookings = 0;

  const guarded: Evalsha = async function (sha, keyCount, ...words) {
    if (sha === sha1) {
      bookings += 1;
      await watch.beforeBooking?.();
      return (this.eval as Evalsha).call(this, variant, keyCount, ...words);
    }
    const [first] = words;
    const isLock = Array.isArray(first) && String(first[0]).endsWith(':lock:placement');
    if (isLock && !lock) return 1;
    const reply = await sent.call(this, sha, keyCount, ...words);
    if (isLock && reply === 0) watch.onLockHeld?.();
    return reply;
  };
  // The client inherits its commands: an own one stands before the inherited.
  Object.defineProperty(Redis.prototype, 'evalsha', { value: guarded, configurable: true });
  return {
    bookings: () => bookings,
    restore: () => Reflect.deleteProperty(Redis.prototype, 'evalsha'),
  };
}

/** Takes checks out of the functions of this database. */
export async function takeFromTransaction(
  databaseUrl: string,
  checks: readonly TransactionCheck[],
): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    for (const { name, cuts } of checks.flatMap((check) => FUNCTIONS[check])) {
      const { rows } = await client.query<{ text: string }>(
        'select pg_get_functiondef(oid) as text from pg_proc where proname = $1',
        [name],
      );
      let text = rows[0]?.text ?? '';
      for (const [from, to] of cuts) text = replaced(text, from, to);
      await client.query(text);
    }
  } finally {
    await client.end();
  }
}

/** Bookers wait for each other before they book, unless the lock keeps one of them out. */
export class Meeting {
  readonly #waiting: (() => void)[] = [];

  constructor(private racers: number) {}

  async arrive(): Promise<void> {
    const met = new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#waiting.length >= this.racers) this.goOn();
    await met;
  }

  /** One of them will not come any more. */
  leave(): void {
    this.racers -= 1;
    if (this.#waiting.length >= this.racers) this.goOn();
  }

  goOn(): void {
    for (const go of this.#waiting.splice(0)) go();
  }
}

/** Holds the first who comes until it is let go, as a paused process is held. */
export class Hold {
  #arrived: () => void = () => undefined;
  #go: () => void = () => undefined;
  #isTaken = false;
  readonly taken = new Promise<void>((resolve) => (this.#arrived = resolve));
  readonly #gone = new Promise<void>((resolve) => (this.#go = resolve));

  async arrive(): Promise<void> {
    if (this.#isTaken) return;
    this.#isTaken = true;
    this.#arrived();
    await this.#gone;
  }

  letGo(): void {
    this.#go();
  }
}
