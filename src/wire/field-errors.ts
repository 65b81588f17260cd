/**
 * From what zod found wrong to what a caller reads: one line a field, saying what would be right.
 * Messages that our schemas wrote themselves are kept.
 */
import { type z } from 'zod';
import type { FieldError } from '../model/errors.js';

/** The name under which the document as a whole is reported. */
export const WHOLE_BODY = '(body)';

/** What is said of a name that means nothing here. */
export const UNKNOWN_FIELD = 'is not known here; remove it';

/** More would only bury the first ones. */
const ERRORS_MAX = 50;

/** Keys come from the caller, so their length is not ours. */
const FIELD_LENGTH_MAX = 200;

/** What is said of a member that is not there but must be. */
export const REQUIRED = 'is required';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/**
 * What is wrong, field by field, without repeats. A field is a dotted path such as
 * `resources.cpu`; the whole document is `(body)`; an unknown key is reported under its own name.
 */
export function fieldErrors(error: z.ZodError): FieldError[] {
  const found = new Map<string, FieldError>();
  for (const item of error.issues.flatMap((issue) => errorsOf(issue, []))) {
    if (found.size >= ERRORS_MAX) break;
    found.set(`${item.field}\n${item.message}`, item);
  }
  return [...found.values()];
}

function errorsOf(issue: Issue, parent: Path): FieldError[] {
  const path = [...parent, ...issue.path];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        field: fieldOf([...path, key]),
        message: UNKNOWN_FIELD,
      }));
    case 'invalid_key':
      return issue.issues.map((inner) => ({
        field: fieldOf(path),
        message: `its name ${messageOf(inner)}`,
      }));
    case 'invalid_union':
      return unionErrors(issue.errors, path, issue);
    default:
      return [{ field: fieldOf(path), message: messageOf(issue) }];
  }
}

/**
 * Of several shapes, the one that knows most of the names that were given is meant, whatever is
 * wrong deeper down; of those, the one that was matched furthest tells most.
 */
function unionErrors(
  branches: readonly (readonly Issue[])[],
  path: Path,
  issue: Issue,
): FieldError[] {
  const strangest = Math.min(...branches.map(unknownNames));
  const meant = branches.filter((branch) => unknownNames(branch) === strangest);
  const deepest = meant.find((branch) => branch.some((inner) => inner.path.length > 0));
  if (deepest !== undefined) return deepest.flatMap((inner) => errorsOf(inner, path));
  const ways = new Set(branches.flatMap((branch) => branch.slice(0, 1).map(messageOf)));
  const message = ways.size === 0 ? messageOf(issue) : [...ways].join(', or ');
  return [{ field: fieldOf(path), message }];
}

const unknownNames = (branch: readonly Issue[]): number =>
  branch.reduce(
    (sum, issue) =>
      sum + (issue.code === 'unrecognized_keys' && issue.path.length === 0 ? issue.keys.length : 0),
    0,
  );

/** A path as callers read it, such as `resources.cpu`. */
export function fieldOf(path: Path): string {
  const field = path.map(String).join('.');
  return field === '' ? WHOLE_BODY : field.slice(0, FIELD_LENGTH_MAX);
}

/** How zod's own messages begin; all others are ours. */
const FOREIGN_MESSAGE = /^(Invalid|Too small|Too big)\b/;

/** zod tells what is missing from what is of a wrong type only in its words. */
const MISSING_MESSAGE = 'received undefined';

function messageOf(issue: Issue): string {
  if (!FOREIGN_MESSAGE.test(issue.message)) return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      if (issue.message.endsWith(MISSING_MESSAGE)) return REQUIRED;
      return `must be ${TYPE_NAMES[issue.expected] ?? `of type ${issue.expected}`}`;
    case 'too_small':
      return boundMessage('at least', issue.minimum, issue.origin);
    case 'too_big':
      return boundMessage('at most', issue.maximum, issue.origin);
    case 'invalid_value':
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map(quoted).join(', ')}`;
    case 'invalid_format':
      return `must be a valid ${issue.format}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor.toString()}`;
    default:
      return 'is not valid';
  }
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'a whole number',
  null: 'null',
  number: 'a number',
  object: 'an object',
  record: 'an object',
  string: 'a string',
  tuple: 'a list',
};

const COUNTED: Readonly<Record<string, string>> = {
  array: ' entries',
  string: ' characters',
};

function boundMessage(relation: string, bound: number | bigint, origin: string): string {
  const counted = COUNTED[origin];
  const verb = counted === undefined ? 'be' : 'have';
  return `must ${verb} ${relation} ${bound.toString()}${counted ?? ''}`;
}

const quoted = (value: unknown): string =>
  typeof value === 'string' ? `"${value}"` : String(value);
