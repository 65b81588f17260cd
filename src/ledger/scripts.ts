/**
 * The Lua scripts and how they are called: keys and arguments by name, never by position.
 * What each script does stands in its own header; a test compares headers, bodies and this table.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { invariant } from '../model/errors.js';
import { answered, unavailable } from './failures.js';

interface Shape {
  /** Names of `KEYS[1]`, `KEYS[2]`, … */
  readonly keys: readonly string[];
  /** Names of `ARGV[1]`, `ARGV[2]`, … */
  readonly args: readonly string[];
  /** First words of the replies. */
  readonly replies: readonly string[];
  /** Whether it works on books.lua. */
  readonly onBooks?: true;
}

export const SCRIPTS = {
  reserve: {
    keys: ['meta', 'log', 'reserved', 'vms', 'groups'],
    args: ['incarnation', 'fence', 'seen', 'logLengthMax', 'prefixes', 'bookings'],
    replies: ['DONE', 'FOREIGN', 'FENCED', 'ROLLED_BACK'],
    onBooks: true,
  },
  commit: {
    keys: ['meta'],
    args: ['prefix', 'bookings'],
    replies: ['DONE'],
  },
  release: {
    keys: ['meta', 'log'],
    args: ['bookingId', 'vmId', 'hostId', 'logLengthMax', 'prefix'],
    replies: ['RELEASED', 'UNKNOWN', 'NO_LEDGER'],
    onBooks: true,
  },
  'set-host': {
    keys: ['meta', 'log'],
    args: ['hostId', 'revision', 'up', 'facts', 'limits', 'logLengthMax', 'prefix'],
    replies: ['SET', 'OLDER', 'NO_LEDGER'],
  },
  overdue: {
    keys: ['meta'],
    args: ['prefix', 'olderThan', 'limit'],
    replies: ['OVERDUE'],
  },
  stage: {
    keys: ['stagings', 'parts', 'hosts', 'vms', 'groups', 'reserved'],
    args: ['incarnation', 'number', 'prefixes', 'newHosts', 'gone', 'bookings'],
    replies: ['STAGED', 'LOST'],
    onBooks: true,
  },
  'rebuild-swap': {
    keys: ['meta', 'log', 'stagings', 'parts'],
    args: ['epoch', 'incarnation', 'highWater', 'number', 'logLengthMax'],
    replies: ['SWAPPED', 'OLDER', 'INCOMPLETE'],
  },
} as const satisfies Record<string, Shape>;

export type ScriptName = keyof typeof SCRIPTS;

export interface ScriptCall<Name extends ScriptName> {
  readonly keys: Readonly<Record<(typeof SCRIPTS)[Name]['keys'][number], string>>;
  readonly args: Readonly<Record<(typeof SCRIPTS)[Name]['args'][number], string | number>>;
}

export interface ScriptReply<Name extends ScriptName> {
  readonly code: (typeof SCRIPTS)[Name]['replies'][number];
  readonly rest: readonly string[];
}

interface Source {
  readonly text: string;
  readonly sha1: string;
}

const textOf = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');

/** Read when the program starts: later there may be no file left to open. */
const SOURCES = new Map<string, Source>(
  Object.entries<Shape>(SCRIPTS).map(([name, { onBooks }]) => {
    const body = textOf(`./scripts/${name}.lua`);
    const text = onBooks === true ? `${textOf('./books.lua')}\n${body}` : body;
    return [name, { text, sha1: createHash('sha1').update(text).digest('hex') }];
  }),
);

function sourceOf(name: ScriptName): Source {
  const source = SOURCES.get(name);
  invariant(source !== undefined, `script ${name} has a file`);
  return source;
}

/**
 * Runs a script once.
 * @throws DomainError `ledger_unavailable` when there is no answer: it may or may not have run
 */
export async function runScript<Name extends ScriptName>(
  redis: Redis,
  name: Name,
  call: ScriptCall<Name>,
): Promise<ScriptReply<Name>> {
  const { text, sha1 } = sourceOf(name);
  const { keyCount, words } = wordsOf(name, call);
  const attempt = redis.evalsha(sha1, keyCount, ...words).catch((error: unknown) => {
    // A restarted Redis does not know the script; then it has not run it either.
    if (isUnknownScript(error)) return redis.eval(text, keyCount, ...words);
    throw error;
  });
  return parse(name, await answered(attempt));
}

/** Calls sent in one write; larger sets go in several. */
const PIPELINE_MAX = 500;

/**
 * Runs a script for each call, pipelined; they are carried out in order, others may come between.
 * @throws DomainError `ledger_unavailable`: then some have run and some have not
 */
export async function runScriptForEach<Name extends ScriptName>(
  redis: Redis,
  name: Name,
  calls: readonly ScriptCall<Name>[],
): Promise<ScriptReply<Name>[]> {
  const found: ScriptReply<Name>[] = [];
  for (let from = 0; from < calls.length; from += PIPELINE_MAX) {
    const chunk = calls.slice(from, from + PIPELINE_MAX);
    const pipeline = redis.pipeline();
    for (const call of chunk) {
      const { keyCount, words } = wordsOf(name, call);
      pipeline.evalsha(sourceOf(name).sha1, keyCount, ...words);
    }
    const results = (await answered(pipeline.exec())) ?? [];
    for (const [index, call] of chunk.entries()) {
      const [error, reply] = results[index] ?? [new Error('no reply'), null];
      if (error === null) found.push(parse(name, reply));
      else if (isUnknownScript(error)) found.push(await runScript(redis, name, call));
      else throw unavailable(error.message, error);
    }
  }
  return found;
}

const isUnknownScript = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith('NOSCRIPT');

/** Keys and arguments in the order in which the script expects them. */
function wordsOf<Name extends ScriptName>(name: Name, call: ScriptCall<Name>) {
  const shape: Shape = SCRIPTS[name];
  const named: Readonly<Record<string, string | number>> = call.args;
  const keys: Readonly<Record<string, string>> = call.keys;
  const words: (string | number)[] = [];
  const add = (word: string | number | undefined) => {
    invariant(word !== undefined, `script ${name} is called without a word`);
    words.push(word);
  };
  for (const key of shape.keys) add(keys[key]);
  const keyCount = words.length;
  for (const argument of shape.args) add(named[argument]);
  return { keyCount, words };
}

function parse<Name extends ScriptName>(name: Name, reply: unknown): ScriptReply<Name> {
  const shape: Shape = SCRIPTS[name];
  invariant(Array.isArray(reply), `script ${name} answers with a list`);
  const [code, ...rest] = reply.map(String);
  invariant(code !== undefined && shape.replies.includes(code), `script ${name} knows its answer`);
  return { code: code as ScriptReply<Name>['code'], rest };
}
