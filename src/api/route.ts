/**
 * What one route of the API is: how it is found, who may call it, what it takes and answers, and
 * the handler. The table of all routes is routes.ts; everything else is derived from these values.
 */
import type { z } from 'zod';
import type { Caller } from '../control/caller.js';
import type { Control } from '../control/control.js';
import type { HostFileVerbs } from '../control/host-files.js';
import type { VerifyVerbs } from '../control/repair-books.js';
import type { ErrorCode } from '../model/errors.js';
import type { Catalogue, Log } from '../model/ports.js';
import type { IdempotencyStore } from '../model/stores/idempotency.js';
import type { EventFeed } from './event-feed.js';
import type { Metrics } from './metrics.js';
import type { Access, Principal } from './principal.js';
import { readInput, type OutputOf, type RawInput } from './read-input.js';
import type { Slots } from './slots.js';
import type { Upload, UploadRule } from './upload.js';

/** Reads need no verb of control; they ask the catalogue itself. */
export type CatalogueReader = Pick<
  Catalogue,
  | 'vm'
  | 'vms'
  | 'reservation'
  | 'reservations'
  | 'host'
  | 'hosts'
  | 'drain'
  | 'usage'
  | 'fleetCounts'
  | 'usageHistory'
  | 'tokens'
  | 'credential'
  | 'audit'
>;

/** What handlers work with. */
export interface ApiPorts {
  readonly control: Control & HostFileVerbs & VerifyVerbs;
  readonly catalogue: CatalogueReader;
  readonly idempotency: IdempotencyStore;
  readonly events: Pick<EventFeed, 'open'>;
  /** Metrics in the text format of Prometheus. */
  readonly metrics: Pick<Metrics, 'text' | 'contentType' | 'observe'>;
  /** The OpenAPI document, as JSON text. */
  readonly openApi: string;
  /** Files that are on their way to hosts: where they lie, and how many there may be. */
  readonly uploads: { readonly directory: string; readonly slots: Slots };
  /** For those who follow consoles. */
  readonly consoleSlots: Slots;
}

/** One request as its handler sees it. */
export interface Call<Params = undefined, Query = undefined, Body = undefined> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly log: Log;
  /** Who asks, for control and the audit log. */
  readonly by: Caller;
  readonly principal: Principal;
  /** A header of the request; undefined when it is absent. */
  header(name: string): string | undefined;
  /** The file that this request brings, on routes that take one. */
  upload(): Upload;
  /** Aborts when the caller has gone or this replica stops: then waiting is of no use. */
  untilGone(): AbortSignal;
  /** Whether the caller's token is still good; for answers that go on for long. */
  stillKnown(): Promise<boolean>;
  /**
   * An id for the thing number `index` that this request makes, the same in every try of it;
   * undefined when nothing (no Idempotency-Key) says which requests are one.
   */
  stableId(index: number): string | undefined;
}

/** What a handler answers: a JSON value, text of another type, or texts as they come. */
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
    }
  | StreamAnswer;

/** Texts, each asked for when the caller has taken the one before. */
export interface StreamAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly stream: AsyncIterable<string>;
  /** A caller who takes longer than this to take a text is cut off. */
  readonly stallMs: number;
}

export type Method = 'get' | 'put' | 'post' | 'patch' | 'delete';

export type Tag =
  | 'VMs'
  | 'Reservations'
  | 'Hosts'
  | 'Images'
  | 'Usage'
  | 'Placements'
  | 'Operations'
  | 'Events'
  | 'Documentation'
  | 'Tokens';

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
  /** Content of the file, on routes that take one. */
  readonly file?: string;
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
  /** A page: browsers may send the token as the password of HTTP Basic. */
  readonly browser?: boolean;
  readonly answers: Readonly<Record<number, AnswerDoc>>;
  /** Codes that this route answers besides those that every route may; see problem.ts. */
  readonly errors: readonly ErrorCode[];
  readonly example: Example;
  /** Takes an Idempotency-Key; see idempotency.ts. */
  readonly idempotent?: true;
  /** Where bodies may be longer than elsewhere. */
  readonly bodyBytesMax?: number;
  /** Takes a file as its body, instead of JSON. */
  readonly upload?: UploadRule;
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
    context: Pick<
      Call,
      'log' | 'by' | 'principal' | 'header' | 'upload' | 'untilGone' | 'stillKnown' | 'stableId'
    >,
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
          get by() {
            return context.by;
          },
          get principal() {
            return context.principal;
          },
          header: (name) => context.header(name),
          upload: () => context.upload(),
          untilGone: () => context.untilGone(),
          stillKnown: () => context.stillKnown(),
          stableId: (index) => context.stableId(index),
        },
        ports,
      );
    },
  };
}
