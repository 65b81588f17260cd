/**
 * Reads the configuration: defaults, then the file, then the environment. Reports every problem at
 * once and prints nothing itself. Everything else in Berth is handed values.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { editDistance } from '../std/edit-distance.js';
import { printable } from '../std/log.js';
import { settingsSchema, type Settings } from './config-schema.js';
import {
  CONFIG_FILE_VARIABLE,
  OTHER_VARIABLES,
  VARIABLES,
  type Variable,
} from './config-variables.js';
import { isOfHostFamily, rightHostName } from './host-variables.js';

export type Environment = Readonly<Record<string, string | undefined>>;
export type Origin = 'default' | 'file' | 'env';

export interface Config extends Settings {
  /** The file that was read. */
  readonly file: string;
  /** Where each key (such as `server.port`) has its value from; absent = default. */
  readonly origins: ReadonlyMap<string, Origin>;
}

export interface ConfigProblem {
  /** The key, or the variable where no key is known. */
  readonly path: string;
  readonly message: string;
  /** What set the value: the variable, or the file; or what could. */
  readonly source: string;
}

/** The configuration is wrong; `problems` is everything that is. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map(({ path, message, source }) => `  ${path} (${source}): ${message}`);
    super(`the configuration is not valid:\n${lines.join('\n')}`);
    this.problems = problems;
  }
}

/** One line of `berth config show`. */
export interface ConfigLine {
  readonly key: string;
  readonly value: string;
  readonly origin: Origin;
  /** The variable that sets this key, if one does. */
  readonly variable: string | null;
}

type Tree = Record<string, unknown>;

const NUMBER = /^-?(\d+\.?\d*|\.\d+)$/;

/** Every key that has a default, with it. */
const DEFAULTS: readonly (readonly [string, unknown])[] = leavesOf(settingsSchema.parse({}));

/** Keys that hold a number, with a default or without. */
const NUMERIC_KEYS = new Set(
  leavesOf(z.toJSONSchema(settingsSchema, { io: 'input', unrepresentable: 'any' }))
    .filter(([path, value]) => path.endsWith('.type') && /^(number|integer)$/.test(String(value)))
    .map(([path]) => path.replace(/\.type$/, '').replaceAll(/(^|\.)properties\./g, '$1')),
);

/** The same depth below the package whether this runs from src or from dist. */
const SHIPPED_FILE = fileURLToPath(new URL('../../resources/config.yaml', import.meta.url));

/**
 * @param options.file instead of resources/config.yaml and of what BERTH_CONFIG names
 * @throws ConfigError with every problem that was found
 */
export function loadConfig(options: {
  readonly file?: string | undefined;
  readonly env: Environment;
}): Config {
  const { env } = options;
  const file = resolve(options.file ?? (env[CONFIG_FILE_VARIABLE] || SHIPPED_FILE));
  const problems: ConfigProblem[] = unknownVariables(env);
  const tree = readFile(file, problems);
  const origins = new Map<string, Origin>(leavesOf(tree).map(([key]) => [key, 'file']));
  refuseSecrets(tree, file, problems);
  applyEnvironment(tree, env, origins, problems);

  const result = settingsSchema.safeParse(tree);
  if (!result.success) {
    for (const issue of result.error.issues) {
      const path = issue.path.map(String);
      if (issue.code === 'unrecognized_keys') {
        for (const key of issue.keys) {
          problems.push(unknownKey([...path, key].join('.'), file));
        }
      } else {
        const key = path.join('.');
        problems.push({
          path: key === '' ? 'the file' : key,
          message: issue.message,
          source: sourceOf(key, origins, file),
        });
      }
    }
  }
  if (!result.success || problems.length > 0) throw new ConfigError(problems);
  return { ...result.data, dataDir: resolve(result.data.dataDir), file, origins };
}

/** Every key with its value, secrets starred, and where it has it from. */
export function describeConfig(config: Config): readonly ConfigLine[] {
  const { file: _file, origins, ...settings } = config;
  const known = new Map(leavesOf(settings));
  for (const { key } of VARIABLES) if (!known.has(key)) known.set(key, undefined);
  return [...known].map(([key, value]) => {
    const variable = variableOf(key);
    return {
      key,
      value: value === undefined ? '' : variable?.secret === true ? '***' : masked(value),
      origin: origins.get(key) ?? 'default',
      variable: variable?.name ?? null,
    };
  });
}

const masked = (value: unknown): string => {
  const shown = printable(value);
  return typeof shown === 'string' ? shown : JSON.stringify(shown);
};

const variableOf = (key: string): Variable | undefined =>
  VARIABLES.find((variable) => variable.key === key);

function readFile(file: string, problems: ConfigProblem[]): Tree {
  const refuse = (message: string): Tree => {
    problems.push({ path: 'the file', message, source: file });
    return {};
  };
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return refuse(`cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const document = parseDocument(text);
  const mistake = document.errors[0];
  if (mistake !== undefined) return refuse(mistake.message);
  const content: unknown = document.toJS() ?? {};
  return isTree(content) ? withoutNulls(content) : refuse('must hold keys and values');
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `url:` with nothing behind it means: not set. */
function withoutNulls(tree: Tree): Tree {
  return Object.fromEntries(
    Object.entries(tree)
      .filter(([, value]) => value !== null)
      .map(([key, value]) => [key, isTree(value) ? withoutNulls(value) : value]),
  );
}

function leavesOf(tree: object, above = ''): [string, unknown][] {
  return Object.entries(tree).flatMap(([key, value]: [string, unknown]) =>
    isTree(value) ? leavesOf(value, `${above}${key}.`) : [[`${above}${key}`, value]],
  );
}

/** Sets what the environment says. An empty variable counts as unset, as in most shells' use. */
function applyEnvironment(
  tree: Tree,
  env: Environment,
  origins: Map<string, Origin>,
  problems: ConfigProblem[],
): void {
  for (const { name, alias, key } of VARIABLES) {
    const said = [name, alias].flatMap((one) => {
      const value = one === undefined ? undefined : env[one]?.trim();
      return value === undefined || value === '' ? [] : [value];
    });
    const [text, other = text] = said;
    if (text === undefined) continue;
    if (text !== other) {
      const message = `says something else than ${alias ?? ''}: keep one`;
      problems.push({ path: key, message, source: name });
    }
    // What does not look like a number stays text, so that the schema can refuse it.
    const value = NUMERIC_KEYS.has(key) && NUMBER.test(text) ? Number(text) : text;
    const path = key.split('.');
    const last = path.pop() ?? key;
    let at = tree;
    for (const step of path) {
      const below = at[step];
      const branch = isTree(below) ? below : {};
      at[step] = branch;
      at = branch;
    }
    at[last] = value;
    origins.set(key, 'env');
  }
}

function refuseSecrets(tree: Tree, file: string, problems: ConfigProblem[]): void {
  for (const [key, value] of leavesOf(tree)) {
    const variable = variableOf(key);
    if (variable === undefined) continue;
    const hasPassword = typeof value === 'string' && masked(value) !== value;
    if (variable.environmentOnly === true || hasPassword) {
      const message = `is a secret and must not stand in a file: set ${variable.name} instead`;
      problems.push({ path: key, message, source: file });
    }
  }
}

function unknownVariables(env: Environment): ConfigProblem[] {
  const names = [
    ...[...VARIABLES, ...OTHER_VARIABLES].map(({ name }) => name),
    ...VARIABLES.flatMap(({ alias }) => alias ?? []),
  ];
  return Object.keys(env)
    .filter((name) => name.startsWith('BERTH_') || isOfHostFamily(name))
    .filter((name) => !names.includes(name))
    .map((name) => {
      const right = rightHostName(name);
      const meant = right === null ? hint(name, names) : `; did you mean ${right}?`;
      return { path: name, message: `is not known${meant}`, source: 'environment' };
    });
}

function unknownKey(key: string, file: string): ConfigProblem {
  const keys = [...DEFAULTS.map(([known]) => known), ...VARIABLES.map((known) => known.key)];
  return { path: key, message: `is not known${hint(key, keys)}`, source: file };
}

function sourceOf(key: string, origins: ReadonlyMap<string, Origin>, file: string): string {
  const variable = variableOf(key)?.name;
  if (origins.get(key) === 'env' && variable !== undefined) return variable;
  return variable === undefined ? file : `${file}, or ${variable}`;
}

/** The nearest known name, if one is near enough to be what was meant. */
function hint(name: string, known: readonly string[]): string {
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .sort((left, right) => left.distance - right.distance);
  const best = ranked[0];
  const near = best !== undefined && best.distance <= Math.max(2, name.length / 3);
  return near ? `; did you mean ${best.candidate}?` : '';
}
