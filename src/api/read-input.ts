/** From path, query string and body to typed values, or to a list of every field that is wrong. */
import { z } from 'zod';
import { DomainError, type FieldError } from '../model/errors.js';
import { bodyShapeErrors } from '../wire/body-shape.js';
import { fieldErrors } from '../wire/field-errors.js';

/** What a request brings, unchecked. */
export interface RawInput {
  readonly params: Readonly<Record<string, unknown>>;
  /** What follows the `?`; empty when there is none. */
  readonly queryString: string;
  readonly body: unknown;
}

export type OutputOf<S> = S extends z.ZodType ? z.output<S> : undefined;

interface Schemas<P, Q, B> {
  readonly params: P | undefined;
  readonly query: Q | undefined;
  readonly body: B | undefined;
  readonly anyQuery: boolean;
}

interface Input<P, Q, B> {
  readonly params: OutputOf<P>;
  readonly query: OutputOf<Q>;
  readonly body: OutputOf<B>;
}

const NO_QUERY = z.strictObject({});

/** More parameters than any route has; the rest of a long query string is not looked at. */
const PARAMETERS_MAX = 64;

/** @throws DomainError `invalid_request` with every field that is wrong */
export function readInput<
  P extends z.ZodType | undefined,
  Q extends z.ZodType | undefined,
  B extends z.ZodType | undefined,
>(schemas: Schemas<P, Q, B>, raw: RawInput): Input<P, Q, B> {
  const errors: FieldError[] = [];
  const read = <S>(schema: S | undefined, value: unknown): OutputOf<S> => {
    if (!(schema instanceof z.ZodType)) return undefined as OutputOf<S>;
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data as OutputOf<S>;
    errors.push(...fieldErrors(parsed.error));
    return undefined as OutputOf<S>;
  };

  const params = read(schemas.params, raw.params);
  const asked = readQuery(raw.queryString, errors);
  const query = read(schemas.query, asked);
  if (schemas.query === undefined && !schemas.anyQuery) read(NO_QUERY, asked);
  let body = undefined as OutputOf<B>;
  if (schemas.body !== undefined) {
    const misshapen = bodyShapeErrors(raw.body);
    errors.push(...misshapen);
    // A call whose fields all have defaults needs no body.
    if (misshapen.length === 0) body = read(schemas.body, raw.body === undefined ? {} : raw.body);
  }

  if (errors.length > 0) {
    throw new DomainError('invalid_request', 'Some fields are not valid; see errors.', { errors });
  }
  return { params, query, body };
}

const NOTHING_ASKED: Readonly<Record<string, string>> = Object.freeze({});

/** A parameter that is given twice is an error: which one was meant cannot be known. */
function readQuery(queryString: string, errors: FieldError[]): Readonly<Record<string, string>> {
  if (queryString === '') return NOTHING_ASKED;
  const values = new Map<string, string>();
  const twice = new Set<string>();
  for (const [name, value] of new URLSearchParams(queryString)) {
    if (values.has(name)) twice.add(name);
    values.set(name, value);
    if (values.size > PARAMETERS_MAX) {
      errors.push({ field: '(query)', message: 'has too many parameters' });
      break;
    }
  }
  for (const name of twice)
    errors.push({ field: name.slice(0, 200), message: 'must be given once' });
  return Object.fromEntries(values);
}
