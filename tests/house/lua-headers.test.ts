/**
 * The header of every Lua script is a contract: what it names is what the body uses, what the
 * wrapper passes, and what the wrapper understands.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { SCRIPTS } from '../../src/ledger/scripts.js';

const FOLDER = 'src/ledger/scripts';
const LINES_MAX = 120;

interface Contract {
  readonly name: string;
  readonly purpose: string;
  /** In the order in which they are listed: `1 meta`. */
  readonly keys: readonly string[];
  /** Where keys of any number begin; null when all are named. */
  readonly moreKeysFrom: number | null;
  readonly args: readonly string[];
  readonly returns: readonly string[];
  readonly keeps: readonly string[];
}

/** @throws Error when the text has no header, or one that is not in the agreed form */
function contractOf(text: string): Contract {
  const header = /^--\[\[\n(.*?)\n\]\]\n/s.exec(text)?.[1];
  if (header === undefined) throw new Error('no header');
  const [first = '', ...lines] = header.split('\n');
  const named = /^([a-z-]+): (\S.*)$/.exec(first);
  if (named === null) throw new Error(`not "name: purpose": ${first}`);
  const contract = {
    name: named[1] ?? '',
    purpose: named[2] ?? '',
    keys: [] as string[],
    moreKeysFrom: null as number | null,
    args: [] as string[],
    returns: [] as string[],
    keeps: [] as string[],
  };
  const blank = lines.indexOf('');
  for (const line of lines.slice(blank + 1)) {
    const entry =
      /^(KEYS|ARGV)\[(\d+)(\.\.)?\] +(\w+) +\S/.exec(line) ??
      /^(Returns) +([A-Z_]+) +\S/.exec(line);
    const keeps = /^Keeps +((I\d+ ?)+)$/.exec(line);
    if (keeps !== null) contract.keeps.push(...(keeps[1] ?? '').trim().split(' '));
    else if (entry?.[1] === 'Returns') contract.returns.push(entry[2] ?? '');
    else if (entry?.[3] === '..') contract.moreKeysFrom = Number(entry[2]);
    else if (entry?.[1] === 'KEYS') contract.keys.push(`${entry[2] ?? ''} ${entry[4] ?? ''}`);
    else if (entry?.[1] === 'ARGV') contract.args.push(`${entry[2] ?? ''} ${entry[4] ?? ''}`);
    else throw new Error(`not a line of a header: ${line}`);
  }
  return contract;
}

interface Body {
  readonly keys: readonly number[];
  /** N of every `KEYS[N + …]`: keys after the first N are reached by counting. */
  readonly countedFrom: readonly number[];
  readonly args: readonly number[];
  readonly codes: readonly string[];
}

function bodyOf(text: string): Body {
  const code = text.replace(/^--\[\[.*?\]\]/s, '').replace(/--.*$/gm, '');
  const numbers = (pattern: RegExp) =>
    [...new Set([...code.matchAll(pattern)].map((match) => Number(match[1])))].sort(
      (a, b) => a - b,
    );
  // What stands right behind redis.call( is a command; every other word in capitals is an answer.
  const answers = code.replace(/redis\.call\('[A-Z]+'/g, '');
  const codes = [...answers.matchAll(/'([A-Z][A-Z_]+)\b/g)].map((match) => match[1] ?? '');
  return {
    keys: numbers(/KEYS\[(\d+)\]/g),
    countedFrom: numbers(/KEYS\[(\d+) \+/g),
    args: numbers(/ARGV\[(\d+)\]/g),
    codes: [...new Set(codes)].sort(),
  };
}

const numbered = (names: readonly string[]) =>
  names.map((name, index) => `${(index + 1).toString()} ${name}`);

/** Everything in which header, body and wrapper of a script disagree. */
function disagreements(name: string, text: string): string[] {
  const contract = contractOf(text);
  const body = bodyOf(text);
  const wrapper = (SCRIPTS as Record<string, (typeof SCRIPTS)[keyof typeof SCRIPTS]>)[name];
  const found: string[] = [];
  const same = (what: string, left: readonly unknown[], right: readonly unknown[]) => {
    if (JSON.stringify(left) !== JSON.stringify(right)) {
      found.push(`${what}: ${JSON.stringify(left)} against ${JSON.stringify(right)}`);
    }
  };
  const indexes = (entries: readonly string[]) =>
    entries.map((entry) => Number.parseInt(entry, 10));
  same('name of file and header', [name], [contract.name]);
  same('KEYS of header and body', indexes(contract.keys), body.keys);
  same('ARGV of header and body', indexes(contract.args), body.args);
  same('codes of header and body', [...contract.returns].sort(), body.codes);
  const beforeMore = contract.moreKeysFrom === null ? [] : [contract.moreKeysFrom - 1];
  same('further KEYS of header and body', beforeMore, body.countedFrom);
  if (beforeMore.length > 0) same('fixed KEYS before further ones', beforeMore, [body.keys.length]);
  same('KEYS of wrapper and header', numbered(wrapper?.keys ?? []), contract.keys);
  same('ARGV of wrapper and header', numbered(wrapper?.args ?? []), contract.args);
  const unknown = (wrapper?.replies ?? []).filter((code) => !contract.returns.includes(code));
  same('codes that only the wrapper knows', unknown, []);
  if (contract.keeps.length === 0) found.push('no invariant is kept');
  return found;
}

const read = (name: string): string => readFileSync(join(FOLDER, `${name}.lua`), 'utf8');

const names = readdirSync(FOLDER).map((file) => file.replace(/\.lua$/, ''));

describe('Lua scripts', () => {
  it('are all wrapped, and nothing is wrapped that is not there', () => {
    expect(names.sort()).toEqual(Object.keys(SCRIPTS).sort());
  });

  it.each(names)('%s does what its header says', (name) => {
    expect(disagreements(name, read(name))).toEqual([]);
  });

  it.each(names)('%s is short', (name) => {
    expect(read(name).trimEnd().split('\n').length).toBeLessThanOrEqual(LINES_MAX);
  });
});

describe('books.lua', () => {
  const text = readFileSync('src/ledger/books.lua', 'utf8');

  it('brings no keys, arguments or answers of its own to the scripts that it stands before', () => {
    expect(text).toMatch(/^--\[\[\nbooks: /);
    const { keys, args, codes } = bodyOf(text.replace(/'(SADD|SREM)'/g, ''));
    expect({ keys, args, codes }).toEqual({ keys: [], args: [], codes: [] });
    expect(text).not.toMatch(/\b(KEYS|ARGV)\b/);
  });

  it.each(names)('stands before %s if, and only if, the script names it', (name) => {
    const { onBooks = false } = SCRIPTS[name as keyof typeof SCRIPTS] as { onBooks?: boolean };
    expect(/\bbooks\./.test(read(name).replace(/^--\[\[.*?\]\]/s, ''))).toBe(onBooks);
  });
});

describe('the check of headers', () => {
  const specimen = read('set-host');

  it.each([
    ['a key that is not listed', (text: string) => `${text}redis.call('DEL', KEYS[6])\n`],
    ['a key that is not used', (text: string) => text.replace("'XADD', KEYS[2]", "'XADD', x")],
    ['an argument that is not listed', (text: string) => `${text}local x = ARGV[8]\n`],
    ['an argument that is not used', (text: string) => text.replace(", 'up', ARGV[3]", '')],
    ['a code that is not listed', (text: string) => `${text}return { 'LOST' }\n`],
    ['a code that is not returned', (text: string) => text.replace("'OLDER'", "'SET'")],
    [
      'a name that the wrapper does not know',
      (text: string) => text.replace('  limits ', '  most   '),
    ],
    ['another file', (text: string) => text.replace('set-host:', 'set-room:')],
    ['further keys that nobody lists', (text: string) => `${text}local k = KEYS[2 + 1]\n`],
    ['no invariant', (text: string) => text.replace(/^Keeps.*\n/m, '')],
  ])('finds %s', (_what, spoil) => {
    const spoilt = spoil(specimen);
    expect(spoilt).not.toBe(specimen);
    expect(disagreements('set-host', spoilt)).not.toEqual([]);
  });

  it('refuses lines of no known form', () => {
    expect(() => contractOf(specimen.replace('Returns ', 'Answers '))).toThrow('not a line');
    expect(() => contractOf(specimen.replace('--[[', '--'))).toThrow('no header');
  });
});
