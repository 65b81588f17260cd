/**
 * The house rules of the source tree. Method: the rules read the tree as it is, and every rule is
 * also shown a small tree that breaks it, so that a rule which has stopped looking is noticed.
 */
import { readdirSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';
import {
  filesBelow,
  findInCode,
  readText,
  ROOT,
  sourceFiles,
  type Import,
  type SourceFile,
} from './source-tree.js';

interface Room {
  readonly mayImport: readonly string[];
  readonly packages: readonly string[];
}

/** Who may import whom, and whose home each package is. Add a row to open a room. */
const ROOMS: Readonly<Record<string, Room>> = {
  model: { mayImport: [], packages: [] },
  std: { mayImport: [], packages: ['winston'] },
  placement: { mayImport: ['model'], packages: [] },
  quota: { mayImport: ['model'], packages: [] },
  planner: { mayImport: ['model', 'placement', 'std'], packages: [] },
  wire: { mayImport: ['model'], packages: ['zod', 'zod-openapi'] },
  ledger: { mayImport: ['model', 'placement', 'quota', 'std'], packages: ['ioredis', 'redlock'] },
  catalogue: {
    mayImport: ['model', 'std'],
    packages: ['kysely', 'pg', '@electric-sql/pglite'],
  },
  fleet: { mayImport: ['model', 'wire', 'std'], packages: ['undici', 'p-limit', 'ipaddr.js'] },
  control: {
    mayImport: ['model', 'placement', 'planner', 'quota', 'std'],
    packages: ['node-cron', 'p-limit'],
  },
  api: {
    mayImport: ['model', 'planner', 'wire', 'control', 'std'],
    packages: [
      ...['express', 'helmet', 'prom-client', 'rapidoc', 'rate-limiter-flexible', 'zod'],
      'zod-openapi',
    ],
  },
  agent: { mayImport: ['model', 'wire', 'std'], packages: ['express', 'prom-client', 'yaml'] },
  informant: { mayImport: ['wire', 'std'], packages: [] },
  sim: { mayImport: ['model', 'placement', 'quota', 'control', 'std'], packages: [] },
  cli: {
    mayImport: ['model', 'planner', 'wire', 'std'],
    packages: ['commander', 'cli-table3', 'ora', 'undici'],
  },
  console: { mayImport: ['wire'], packages: [] },
};

/** Joins the rooms, so it may import everything. */
const JOINT = 'bin';

/** They are handed the time and chance, and await nothing. */
const PURE_ROOMS = ['model', 'placement', 'planner', 'quota'];

/** Programs: nothing imports them. */
const ENTRIES = [
  'src/bin/berth.ts',
  'src/bin/crash-points.ts',
  'src/bin/guest.ts',
  'src/bin/sim.ts',
];

const LINES_MAX = 500;

const TOP_LEVEL = [
  '.ci',
  '.dockerignore',
  '.env.example',
  '.gitignore',
  '.npmrc',
  '.prettierignore',
  'CHANGELOG.md',
  'Dockerfile',
  'LICENSE',
  'README.md',
  'bench',
  'docker-compose.yml',
  'docs',
  'package-lock.json',
  'package.json',
  'resources',
  'src',
  'tests',
  'tsconfig.json',
];

/** What a working copy has besides; .gitignore keeps it out. */
const IGNORED = /^(\.git|node_modules|dist|dist\.making-.*|\.berth|coverage|\.env|.*\.log)$/;

const files = sourceFiles();

// ── The rules. Each answers the faults that it finds, a sentence each. ──────────────────────────

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

const roomOf = (path: string): string => path.split('/')[1] ?? '';

function faultOfImport({ path, room }: SourceFile, { specifier, file, typeOnly }: Import) {
  const rules = ROOMS[room];
  if (room === JOINT) return null;
  if (rules === undefined) return `${path} stands in no known room: add "${room}" to ROOMS`;
  if (file !== null) {
    const target = roomOf(file);
    if (target === room) return null;
    if (!rules.mayImport.includes(target)) {
      const allowed = [room, ...rules.mayImport].join(', ');
      return `${path} imports ${file}, but ${room} may import only ${allowed}: hand the thing in from bin, or move it`;
    }
    if (room === 'console' && !typeOnly) return `${path} imports ${file}: console takes types only`;
    return null;
  }
  if (isBuiltin(specifier)) {
    if (!PURE_ROOMS.includes(room)) return null;
    return `${path} imports ${specifier}, but ${room} is pure: hand its result in`;
  }
  if (rules.packages.includes(packageOf(specifier))) return null;
  const homes = Object.keys(ROOMS).filter((name) =>
    ROOMS[name]?.packages.includes(packageOf(specifier)),
  );
  return `${path} imports ${specifier}, whose home is ${homes.join(', ') || 'nowhere'}: ask that room, or give it a home in ROOMS`;
}

const importFaults = (tree: readonly SourceFile[]): string[] =>
  tree.flatMap((file) => file.imports.flatMap((one) => faultOfImport(file, one) ?? []));

/** Type imports count too: two files that need each other's types are one thing in two files. */
function cycles(tree: readonly SourceFile[]): string[] {
  const byPath = new Map(tree.map((file) => [file.path, file]));
  const done = new Set<string>();
  const found: string[] = [];
  const walk = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      found.push(`${[...trail.slice(start), path].join(' → ')}: move what both need to a third`);
      return;
    }
    if (done.has(path)) return;
    for (const { file } of byPath.get(path)?.imports ?? []) {
      if (file !== null) walk(file, [...trail, path]);
    }
    done.add(path);
  };
  for (const { path } of tree) walk(path, []);
  return found;
}

function unused(tree: readonly SourceFile[]): string[] {
  const imported = new Set(tree.flatMap(({ imports }) => imports.map(({ file }) => file)));
  return tree
    .filter(({ path }) => !ENTRIES.includes(path) && !path.endsWith('.d.ts') && !imported.has(path))
    .map(({ path }) => `nothing imports ${path}: use it, or delete it`);
}

const tooLong = (tree: readonly Pick<SourceFile, 'path' | 'text'>[]): string[] =>
  tree
    .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > LINES_MAX)
    .map(({ path, lines }) => `${path} has ${lines} lines, over ${LINES_MAX}: split it by meaning`);

function badNames(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    const name = path.split('/').pop() ?? '';
    if (/^(utils?|helpers?|common|misc|shared|lib|index|stuff|types|constants)\./.test(name)) {
      return [`${path} says nothing of what is in it: name it for that`];
    }
    if (/^[a-z0-9-]+(\.test|\.d)?\.[a-z]+$/.test(name) || /^(README\.md|\..*)$/.test(name))
      return [];
    return [`${path} is not in kebab-case: rename it`];
  });
}

const IMPURE_GLOBALS = new Set([
  ...['Date', 'performance', 'crypto', 'process', 'console', 'globalThis', 'fetch'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'Promise', 'AbortController'],
]);

function impurity(node: ts.Node): string | null {
  if (ts.isAwaitExpression(node)) return 'await';
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return 'async';
  if (ts.isPropertyAccessExpression(node) && node.getText() === 'Math.random') return 'Math.random';
  if (!ts.isIdentifier(node) || !IMPURE_GLOBALS.has(node.text)) return null;
  // `error.process` and `{ process: 1 }` are names of fields.
  const { parent } = node;
  const isField =
    (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
    (ts.isPropertyAssignment(parent) && parent.name === node);
  return isField ? null : node.text;
}

const impurities = (tree: readonly SourceFile[]): string[] =>
  tree
    .filter(({ room }) => PURE_ROOMS.includes(room))
    .flatMap((file) => findInCode(file, impurity))
    .map((fault) => `${fault}, in a pure room: hand its result in`);

function readsSurroundings(node: ts.Node): string | null {
  if (ts.isImportDeclaration(node) && /^'(node:)?process'/.test(node.moduleSpecifier.getText())) {
    return 'node:process';
  }
  if (!ts.isPropertyAccessExpression(node)) return null;
  const text = node.getText();
  return text === 'process.env' || text === 'process.argv' ? text : null;
}

const surroundings = (tree: readonly SourceFile[]): string[] =>
  tree
    .filter(({ room }) => room !== JOINT)
    .flatMap((file) => findInCode(file, readsSurroundings))
    .map((fault) => `${fault}, which only bin may: take it as an argument`);

// ── The tree as it is ───────────────────────────────────────────────────────────────────────────

describe('the source tree', () => {
  it('is read at all', () => {
    expect(files.length).toBeGreaterThan(30);
    expect(files.flatMap(({ imports }) => imports).length).toBeGreaterThan(100);
  });

  it('imports only what the table allows', () => {
    expect(importFaults(files)).toEqual([]);
  });

  it('has no import cycles', () => {
    expect(cycles(files)).toEqual([]);
  });

  it('has no file that nothing imports', () => {
    expect(unused(files)).toEqual([]);
  });

  it('has no file that is too long', () => {
    const all = filesBelow('src').filter((path) => /\.(ts|mjs|js|lua|sql|css|html)$/.test(path));
    expect(tooLong(all.map((path) => ({ path, text: readText(path) })))).toEqual([]);
  });

  it('has names that say what is in a file', () => {
    const all = ['src', 'tests', 'bench'].flatMap(filesBelow);
    // Names that browsers, the compiler and the migrator expect.
    const fixed = /(index\.html|tsconfig\.json|migrations\/\d{4}_[a-z_]+\.sql)$/;
    expect(badNames(all.filter((path) => !fixed.test(path)))).toEqual([]);
  });

  it('has pure rooms that are pure', () => {
    expect(impurities(files)).toEqual([]);
  });

  it('reads environment and arguments in bin alone', () => {
    expect(surroundings(files)).toEqual([]);
  });

  it('has a use for every package that is installed with it', () => {
    const { dependencies } = JSON.parse(readText('package.json')) as {
      readonly dependencies: Readonly<Record<string, string>>;
    };
    const text = files.map((file) => file.text).join('\n');
    const idle = Object.keys(dependencies).filter((name) => !text.includes(name));
    expect(idle.map((name) => `nothing uses ${name}: npm uninstall it`)).toEqual([]);
  });

  it('has nothing at the top level but what belongs there', () => {
    const extra = readdirSync(ROOT).filter(
      (name) => !TOP_LEVEL.includes(name) && !IGNORED.test(name),
    );
    expect(extra.map((name) => `${name} stands at the top level: find it a folder`)).toEqual([]);
  });
});

// ── The rules themselves ────────────────────────────────────────────────────────────────────────

describe('the rules', () => {
  const file = (path: string, imports: readonly string[] = [], text = ''): SourceFile => ({
    path,
    room: roomOf(path),
    text,
    imports: imports.map((target) => ({
      specifier: target,
      file: target.startsWith('src/') ? target : null,
      typeOnly: false,
    })),
  });

  it.each([
    ['a room out of reach', 'src/control/a.ts', 'src/ledger/b.ts'],
    ['a package away from home', 'src/control/a.ts', 'ioredis'],
    ['a part of a package away from home', 'src/api/a.ts', '@electric-sql/pglite/node-postgres'],
    ["Node's own in a pure room", 'src/placement/a.ts', 'node:fs'],
    ['wire as a value in the console', 'src/console/a.ts', 'src/wire/b.ts'],
    ['anything from an unknown room', 'src/attic/a.ts', 'zod'],
  ])('find %s', (_what, path, target) => {
    expect(importFaults([file(path, [target])])).toHaveLength(1);
  });

  it('let through what is allowed', () => {
    const tree = [
      file('src/control/a.ts', ['src/model/b.ts', 'src/control/c.ts', 'node-cron', 'node:events']),
      file('src/bin/a.ts', ['src/ledger/b.ts', 'yaml']),
    ];
    expect(importFaults(tree)).toEqual([]);
  });

  it('find a cycle', () => {
    const tree = [
      file('src/model/a.ts', ['src/model/b.ts']),
      file('src/model/b.ts', ['src/model/c.ts']),
      file('src/model/c.ts', ['src/model/b.ts']),
    ];
    expect(cycles(tree)).toEqual([expect.stringContaining('b.ts → src/model/c.ts → src/model/b')]);
  });

  it('find a file that nothing imports, a long one, and names that say nothing', () => {
    expect(unused([file('src/model/a.ts')])).toHaveLength(1);
    expect(tooLong([file('src/model/a.ts', [], '\n'.repeat(LINES_MAX + 1))])).toHaveLength(1);
    expect(tooLong([file('src/model/a.ts', [], '\n'.repeat(LINES_MAX))])).toEqual([]);
    expect(
      badNames(['src/model/utils.ts', 'src/model/VmState.ts', 'src/model/a-b.ts']),
    ).toHaveLength(2);
  });

  it.each([
    'const now = Date.now();',
    'const now = new Date();',
    'const chance = Math.random();',
    'export async function f() {}',
    'setTimeout(() => 1, 1);',
    'console.log(process.pid);',
  ])('find that this is not pure: %s', (text) => {
    expect(impurities([file('src/model/a.ts', [], text)])).not.toEqual([]);
  });

  it.each([
    'export interface A { readonly at: Date; wait(): Promise<void> }',
    'export const at = (thing: { readonly process: string }): string => thing.process;',
    'export function f(at: Date): number { return at.getTime(); }',
  ])('let through that this is pure: %s', (text) => {
    expect(impurities([file('src/model/a.ts', [], text)])).toEqual([]);
  });

  it('find who reads the environment', () => {
    const text = 'export const port = process.env.PORT;';
    expect(surroundings([file('src/api/a.ts', [], text)])).toHaveLength(1);
    expect(surroundings([file('src/bin/a.ts', [], text)])).toEqual([]);
  });
});
