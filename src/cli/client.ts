/**
 * Calls to the control plane. Every answer is checked against its schema in wire, and handed on as
 * it came, so that `--json` shows all of it. A call is sent once: repeating it is the user's choice.
 */
import type { Readable } from 'node:stream';
import { request } from 'undici';
import { PROBLEM_CONTENT_TYPE, problemSchema, type ProblemBody } from '../wire/problem.js';
import type { Access } from './access.js';
import { CliFailure, EXIT, systemCode } from './failure.js';
import { failureOf } from './problem.js';
import { understood, type Schema } from './understood.js';

export type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
export type Query = Readonly<Record<string, string | number | undefined>>;

export interface CallOptions {
  readonly query?: Query;
  readonly body?: unknown;
  /** A file instead of JSON. */
  readonly file?: { readonly bytes: number; readonly body: Readable };
  /** Names the request, so that a repeat of it has no second effect. */
  readonly idempotencyKey?: string;
  /** How long to wait for the answer; 30 s when absent. */
  readonly timeoutMs?: number;
}

export interface Client {
  /** @throws CliFailure on any answer but a success, and when there is none */
  call<Body>(
    method: Method,
    path: string,
    schema: Schema<Body>,
    options?: CallOptions,
  ): Promise<Body>;
  /**
   * Opens a stream of texts. Reading it fails when the connection breaks, or says nothing for
   * longer than `timeoutMs`.
   */
  follow(
    path: string,
    options: Pick<CallOptions, 'query' | 'timeoutMs'> & { readonly lastEventId: string },
  ): Promise<AsyncIterable<string>>;
  /** Reads a text, which may go on for as long as it likes. */
  read(path: string, options: Pick<CallOptions, 'query'>): Promise<AsyncIterable<string>>;
}

const ANSWER_TIMEOUT_MS = 30_000;
const EVENT_STREAM = 'text/event-stream';
const TEXT = 'text/plain';

/** @param tokenSource where a token would have been found, for the hint of a 401 */
export function createClient(access: Access, tokenSource: string): Client {
  const failed = (reply: Head, document: unknown): CliFailure => {
    const isProblem = reply.contentType.startsWith(PROBLEM_CONTENT_TYPE);
    if (!isProblem || !understood<ProblemBody>(problemSchema, document)) {
      return notBerth(access, reply.status);
    }
    const { retryAfterS } = reply;
    return failureOf(document, { retryAfterS, tokenSource, hasToken: access.token !== null });
  };
  return {
    async call(method, path, schema, options = {}) {
      const reply = await whole(access, options, await send(access, method, path, options));
      const document = jsonOf(reply.text);
      if (reply.status >= 200 && reply.status < 300) {
        if (understood(schema, document)) return document;
        throw notBerth(access, reply.status);
      }
      throw failed(reply, document);
    },
    async follow(path, { lastEventId, ...options }) {
      const headers: Record<string, string> = { accept: EVENT_STREAM };
      if (lastEventId !== '') headers['last-event-id'] = lastEventId;
      const reply = await send(access, 'GET', path, options, headers);
      if (reply.contentType.startsWith(EVENT_STREAM)) return textsOf(access, options, reply.body);
      const { text } = await whole(access, options, reply);
      throw failed(reply, jsonOf(text));
    },
    async read(path, options) {
      const reply = await send(access, 'GET', path, { ...options, isEndless: true });
      const isText = reply.status === 200 && reply.contentType.startsWith(TEXT);
      if (isText) return textsOf(access, options, reply.body);
      const { text } = await whole(access, options, reply);
      throw failed(reply, jsonOf(text));
    },
  };
}

/** @throws CliFailure when the connection breaks */
async function* textsOf(
  access: Access,
  { timeoutMs = ANSWER_TIMEOUT_MS }: CallOptions,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  try {
    for await (const piece of body) yield decoder.decode(piece, { stream: true });
  } catch (cause) {
    throw unanswered(access, timeoutMs, cause);
  }
}

interface Head {
  readonly status: number;
  readonly contentType: string;
  readonly retryAfterS: string | undefined;
}

interface Reply extends Head {
  readonly body: AsyncIterable<Uint8Array> & { text(): Promise<string> };
}

async function whole(
  access: Access,
  { timeoutMs = ANSWER_TIMEOUT_MS }: CallOptions,
  { body, ...head }: Reply,
): Promise<Head & { readonly text: string }> {
  try {
    return { ...head, text: await body.text() };
  } catch (cause) {
    throw unanswered(access, timeoutMs, cause);
  }
}

async function send(
  access: Access,
  method: Method,
  path: string,
  options: CallOptions & { readonly isEndless?: boolean },
  more: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const { query = {}, body, file, idempotencyKey, timeoutMs = ANSWER_TIMEOUT_MS } = options;
  const url = new URL(`${access.url}${path}`);
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(key, value.toString());
  }
  try {
    const {
      statusCode,
      headers,
      body: answer,
    } = await request(url, {
      method,
      headers: {
        accept: `application/json, ${PROBLEM_CONTENT_TYPE}`,
        ...(access.token === null ? {} : { authorization: `Bearer ${access.token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(file === undefined ? {} : fileHeaders(file.bytes)),
        ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
        ...more,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(file === undefined ? {} : { body: file.body }),
      headersTimeout: timeoutMs,
      bodyTimeout: options.isEndless === true ? 0 : timeoutMs,
    });
    const retryAfter = headers['retry-after'];
    return {
      status: statusCode,
      contentType: String(headers['content-type']),
      retryAfterS: typeof retryAfter === 'string' ? retryAfter : undefined,
      body: answer,
    };
  } catch (cause) {
    throw unanswered(access, timeoutMs, cause);
  }
}

const fileHeaders = (bytes: number) => ({
  'content-type': 'application/octet-stream',
  'content-length': bytes.toString(),
});

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Nothing was sent when the connection was never made. */
const NEVER_CONNECTED: readonly string[] = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
];
const TIMED_OUT: readonly string[] = ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'];

function unanswered(access: Access, timeoutMs: number, cause: unknown): CliFailure {
  const code = systemCode(cause) ?? '';
  if (TIMED_OUT.includes(code)) {
    const seconds = Math.round(timeoutMs / 1_000).toString();
    return new CliFailure(
      EXIT.unreachable,
      `The control plane at ${access.url} did not answer in ${seconds} s.`,
      {
        hint: 'it may have carried out the request: look before you repeat it',
        unsure: true,
        cause,
      },
    );
  }
  const why = code === '' ? '' : ` (${code})`;
  if (NEVER_CONNECTED.includes(code)) {
    return new CliFailure(EXIT.unreachable, `No control plane answers at ${access.url}${why}.`, {
      hint: '`berth up` starts one on this machine; BERTH_URL names another',
      cause,
    });
  }
  return new CliFailure(EXIT.unreachable, `The connection to ${access.url} broke${why}.`, {
    hint: 'it may have carried out the request: look before you repeat it',
    unsure: true,
    cause,
  });
}

const notBerth = (access: Access, status: number): CliFailure =>
  new CliFailure(
    EXIT.unreachable,
    `What answers at ${access.url} (status ${status.toString()}) does not speak as a control plane of Berth.`,
    { hint: 'look at BERTH_URL, and at proxies on the way' },
  );
