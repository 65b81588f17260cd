/**
 * One request and its answer, as the API accompanies it: its id, its log, and what is counted and
 * logged when it is over. What the answer is, the routes say.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Caller } from '../control/caller.js';
import { invariant, type DomainError, type ErrorCode } from '../model/errors.js';
import type { Log, Telemetry } from '../model/ports.js';
import { PROBLEM_CONTENT_TYPE } from '../wire/problem.js';
import { expectedError, problemOf, retryAfterOf } from './problem.js';
import type { Principal } from './principal.js';
import type { Answer, Call, Route, StreamAnswer } from './route.js';
import { sendStream } from './stream.js';
import type { InFlight } from './in-flight.js';
import { errorFor } from './tenancy.js';
import { uploadIn, type Upload } from './upload.js';

/** Ids that callers may choose; anything else could forge log lines or headers. */
const REQUEST_ID_PATTERN = /^[A-Za-z0-9._-]{1,64}$/;

/** The label of requests that no route took. */
const NO_ROUTE = '(none)';

export const JSON_TYPE = 'application/json; charset=utf-8';

const NOBODY: Principal = {
  who: 'viewer',
  actor: { kind: 'system', id: 'nobody', name: 'nobody' },
  path: null,
  hostId: null,
};

export interface ExchangeOptions {
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly closing: Closing;
  readonly inFlight: InFlight;
  /** On every answer. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Whether this replica is stopping, and who wants to hear of it. */
export interface Closing {
  isClosing(): boolean;
  /** @returns how to stop listening */
  onClosing(callback: () => void): () => void;
}

/** Lives from the first byte to the end of the answer. */
export class Exchange {
  readonly requestId: string;
  /** false: this replica has as many requests in flight as it takes. */
  readonly isAdmitted: boolean;
  route: Route | undefined;
  /** Set by the guard; nobody in particular on public routes. */
  principal: Principal = NOBODY;
  /** Set by the guard; asks again whether the token that was shown is good. */
  stillKnown: () => Promise<boolean> = () => Promise.resolve(true);
  /** Set when the request carries an Idempotency-Key. */
  stableId: Call['stableId'] = () => undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #options: ExchangeOptions;
  readonly #started = performance.now();
  #log: Log | undefined;
  #code: ErrorCode | undefined;
  /** Kept here and written in one go: Node is far slower when headers are set one by one. */
  readonly #headers: Record<string, string | number>;

  constructor(request: IncomingMessage, response: ServerResponse, options: ExchangeOptions) {
    this.#request = request;
    this.#response = response;
    this.#options = options;
    const given = request.headers['x-request-id'];
    this.requestId =
      typeof given === 'string' && REQUEST_ID_PATTERN.test(given) ? given : randomUUID();
    this.#headers = { ...options.headers, 'X-Request-Id': this.requestId };
    const leave = options.inFlight.enter();
    this.isAdmitted = leave !== null;
    response.once('close', () => {
      leave?.();
      this.#over();
    });
  }

  /** Made when first used: most reads log nothing of their own. */
  get log(): Log {
    this.#log ??= this.#options.log.child({ requestId: this.requestId });
    return this.#log;
  }

  /** A header of the request; undefined when it is absent or stands there more than once. */
  header(name: string): string | undefined {
    const value = this.#request.headers[name.toLowerCase()];
    return typeof value === 'string' ? value : undefined;
  }

  upload(): Upload {
    const rule = this.route?.upload;
    invariant(rule !== undefined, 'only a route that takes a file asks for it');
    return uploadIn(this.#request, rule);
  }

  get by(): Caller {
    return {
      actor: { ...this.principal.actor, requestId: this.requestId },
      log: this.log,
      isGone: () => this.isGone,
    };
  }

  /** Nobody is there any more to hear the answer. */
  get isGone(): boolean {
    return this.#response.destroyed || this.#request.socket.destroyed;
  }

  /** For whatever answer this request will get. */
  setHeader(name: string, value: string): void {
    this.#headers[name] = value;
  }

  untilGone(): AbortSignal {
    const controller = new AbortController();
    const abort = () => {
      controller.abort();
    };
    const unlisten = this.#options.closing.onClosing(abort);
    this.#response.once('close', () => {
      unlisten();
      abort();
    });
    if (this.#options.closing.isClosing() || this.#response.destroyed) abort();
    return controller.signal;
  }

  answer(answer: Answer): void {
    if ('json' in answer) {
      this.#send(answer.status, JSON.stringify(answer.json), JSON_TYPE, 'no-store');
    } else if ('stream' in answer) {
      this.#stream(answer).catch((error: unknown) => {
        this.fail(error);
      });
    } else {
      const { status, text, contentType, cacheControl = 'no-store', location } = answer;
      if (location !== undefined) this.setHeader('Location', location);
      this.#send(status, text, contentType, cacheControl);
    }
  }

  /** Tells a failure as a problem document, and the log what the caller may not know. */
  fail(thrown: unknown): void {
    const error = errorFor(this.principal, expectedError(thrown));
    this.#code = error.code;
    this.#logFailure(error);
    if (this.#response.headersSent) {
      this.#response.destroy();
      return;
    }
    // What is still to come of it would be read as the next request.
    if (error.code === 'request_timeout') this.setHeader('Connection', 'close');
    const retryAfterS = retryAfterOf(error);
    if (retryAfterS !== undefined) this.setHeader('Retry-After', retryAfterS.toString());
    const text = JSON.stringify(problemOf(error, this.requestId));
    this.#send(error.status, text, PROBLEM_CONTENT_TYPE, 'no-store');
  }

  #logFailure(error: DomainError): void {
    if (error.code === 'internal_error') {
      this.log.error('request broke', { ...this.#where(), error: error.cause ?? error });
    } else if (error.internal !== undefined || error.cause !== undefined) {
      this.log.warn('request failed', { ...this.#where(), error });
    }
  }

  #send(status: number, text: string, contentType: string, cacheControl: string): void {
    const response = this.#response;
    if (response.destroyed) return;
    // The next request of this connection shall find another replica.
    if (this.#options.closing.isClosing()) this.setHeader('Connection', 'close');
    this.#headers['Content-Type'] = contentType;
    this.#headers['Content-Length'] = Buffer.byteLength(text);
    this.#headers['Cache-Control'] = cacheControl;
    response.writeHead(status, this.#headers);
    response.end(text);
  }

  async #stream({ status, contentType, stream, stallMs }: StreamAnswer): Promise<void> {
    const response = this.#response;
    if (response.destroyed) return;
    this.#headers['Content-Type'] = contentType;
    this.#headers['Cache-Control'] = 'no-store';
    // Proxies in front would hold it back until it is long.
    this.#headers['X-Accel-Buffering'] = 'no';
    response.writeHead(status, this.#headers);
    if (this.#request.method === 'HEAD') {
      response.end();
      return;
    }
    if ((await sendStream(response, stream, stallMs)) !== 'stalled') return;
    this.#options.telemetry.count('berth_event_readers_cut_total');
    this.log.info('a reader that was too slow was cut off', { ...this.#where(), stallMs });
  }

  #where(): { readonly method: string; readonly route: string } {
    return { method: this.#request.method ?? '', route: this.route?.path ?? NO_ROUTE };
  }

  #over(): void {
    const seconds = (performance.now() - this.#started) / 1000;
    const { method, route } = this.#where();
    // Nobody was there to hear the answer: no status of ours was sent.
    const sent = this.#response.writableFinished;
    const labels = { method, route, status: sent ? this.#response.statusCode.toString() : 'gone' };
    this.#options.telemetry.count('berth_http_requests_total', labels);
    this.#options.telemetry.observe('berth_http_request_seconds', seconds, labels);
    const line = {
      requestId: this.requestId,
      ...labels,
      durationMs: Math.round(seconds * 1e4) / 10,
      ...(this.#code === undefined ? {} : { code: this.#code }),
    };
    if (this.route?.quiet === true) this.#options.log.debug('request', line);
    else this.#options.log.info('request', line);
  }
}
