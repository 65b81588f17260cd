/**
 * What one route of the API is: how it is found, who may call it, what it takes and answers, and
 * the handler. The table of all routes is routes.ts; everything else is derived from these values.
 */
import type { z } from 'zod';
import type { Control } from '../control/control.js';
import type { ErrorCode } from '../model/errors.js';
import type { Catalogue, Log } from '../model/ports.js';
import { readInput, type OutputOf, type RawInput } from './read-input.js';

/** Reads need no verb of control; they ask the catalogue itself. */
export type CatalogueReader = Pick<Catalogue, 'vm' | 'vms' | 'host' | 'hosts'>;

/** What handlers work with. */
export interface ApiPorts {
  readonly control: Control;
  readonly catalogue: CatalogueReader;
  /** Metrics in the text format of Prometheus. */
  readonly metrics: { text(): Promise<string>; readonly contentType: string };
  /** The OpenAPI document, as JSON text. */
  readonly openApi: string;
}

/** One request as its handler sees it. */
export interface Call<Params = undefined, Query = undefined, Body = undefined> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly log: Log;
  /** Aborts when the caller has gone or this replica stops: then waiting is of no use. */
  untilGone(): AbortSignal;
}

/** What a handler answers: a JSON value, or text of another type. */
export type Answer =
  | { readonly status: number; readonly json: unknown }
  | {
      readonly status: number;
      readonly text: string;
      readonly contentType: string;
      /** `no-store` when absent. */
      readonly cacheControl?: string;
      /** Where the caller is sent on, with a status of 3xx. */
      readonly location?: string;
    };

/**
 * - `admin`: the admin token, as a bearer.
 * - `join`: the admin token or the one with which agents join.
 * - `browser`: the admin token as a bearer, or as the password of HTTP Basic.
 * - `public`: anybody.
 */
export type Access = 'admin' | 'join' | 'browser' | 'public';

export type Method = 'get' | 'post' | 'patch' | 'delete';

export type Tag = 'VMs' | 'Hosts' | 'Placements' | 'Operations' | 'Documentation';

/** One documented answer. Without a schema it is text of the given type. */
export interface AnswerDoc {
  readonly description: string;
  readonly schema?: z.ZodType;
  readonly contentType?: string;
}

/** A request that works, and what it is answered. */
export interface Example {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly status: number;
  /** A JSON value; absent where the answer is text. */
  readonly answer?: unknown;
}

interface RouteFacts {
  readonly method: Method;
  /** As Express reads it: `/v1/vms/:id`. */
  readonly path: string;
  /** Name of the operation in the OpenAPI document. */
  readonly name: string;
  readonly summary: string;
  readonly tag: Tag;
  readonly access: Access;
  readonly answers: Readonly<Record<number, AnswerDoc>>;
  /** Codes that this route answers besides those that every route may; see problem.ts. */
  readonly errors: readonly ErrorCode[];
  readonly example: Example;
  /** Health probes: a line each would drown the log. */
  readonly quiet?: boolean;
  /** Pages and probes let query parameters pass that they do not know. */
  readonly anyQuery?: boolean;
}

type ObjectSchema = z.ZodObject | undefined;
type BodySchema = z.ZodType | undefined;

export interface RouteSpec<
  P extends ObjectSchema,
  Q extends ObjectSchema,
  B extends BodySchema,
> extends RouteFacts {
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  readonly handle: (
    call: Call<OutputOf<P>, OutputOf<Q>, OutputOf<B>>,
    ports: ApiPorts,
  ) => Answer | Promise<Answer>;
}

export interface Route extends RouteFacts {
  readonly params: z.ZodObject | undefined;
  readonly query: z.ZodObject | undefined;
  readonly body: z.ZodType | undefined;
  /**
   * Checks the input and runs the handler.
   * @throws DomainError `invalid_request` with every field that is wrong
   */
  run(
    input: RawInput,
    context: Pick<Call, 'log' | 'untilGone'>,
    ports: ApiPorts,
  ): Answer | Promise<Answer>;
}

/** Makes a route of its description; the handler is held to the schemas by its types. */
export function route<
  P extends ObjectSchema = undefined,
  Q extends ObjectSchema = undefined,
  B extends BodySchema = undefined,
>({ params, query, body, handle, ...facts }: RouteSpec<P, Q, B>): Route {
  const schemas = { params, query, body, anyQuery: facts.anyQuery === true };
  return {
    ...facts,
    params,
    query,
    body,
    run(raw, context, ports) {
      const input = readInput<P, Q, B>(schemas, raw);
      return handle(
        {
          ...input,
          get log() {
            return context.log;
          },
          untilGone: () => context.untilGone(),
        },
        ports,
      );
    },
  };
}
