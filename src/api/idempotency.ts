/**
 * Requests with an Idempotency-Key: one try at a time, and whoever repeats one gets the answer that
 * was given. The catalogue remembers; a try whose replica died is taken over by the next.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { DomainError } from '../model/errors.js';
import type { Log } from '../model/ports.js';
import type { IdempotencyStore, RequestName, StoredAnswer } from '../model/stores/idempotency.js';
import { fingerprint } from '../std/fingerprint.js';
import { uuidFrom } from '../std/uuid.js';
import { bodyShapeErrors } from '../wire/body-shape.js';
import { PROBLEM_CONTENT_TYPE } from '../wire/problem.js';
import { JSON_TYPE, type Exchange } from './exchange.js';
import { expectedError, malformed, problemOf } from './problem.js';
import type { RawInput } from './read-input.js';
import type { Answer } from './route.js';
import { errorFor } from './tenancy.js';

const KEY_HEADER = 'idempotency-key';
const KEY_PATTERN = /^[\x21-\x7e]{1,128}$/;
const KEY_RULE = 'must be 1 to 128 printable ASCII characters without spaces';

/** As the OpenAPI document describes it. */
export const keyHeaderSchema = z.object({
  'Idempotency-Key': z.string().regex(KEY_PATTERN, KEY_RULE).optional().meta({
    description:
      'Names this request for 24 h: a repeat has no second effect and gets the same answer, with `Idempotency-Replayed: true`',
    example: '5f0c9a52-deploy-web-1',
  }),
});

/** After this time without a sign of life a repeat takes the request over. */
const LEASE_MS = 10_000;
const EXTEND_EVERY_MS = 3_000;

/** Statuses below 500 that say nothing of the request itself: the next try may fare better. */
const PASSING: readonly number[] = [408, 429];

/** How long the caller is asked to wait for another try's answer. */
const RETRY_AFTER_S = 1;

/** Query parameters that change how long the answer is waited for, and nothing else. */
const ONLY_WAITING: readonly string[] = ['wait', 'timeout'];

export interface KeyedRequest {
  readonly method: string;
  /** As it was asked for, without the query. */
  readonly path: string;
  readonly input: RawInput;
}

/**
 * Answers a request, or repeats the answer that it got before. Without a key it is just answered.
 * @throws DomainError `idempotency_in_progress`, `idempotency_key_reused`, `invalid_request`
 *   naming `idempotency-key`, and what `answer` throws
 */
export async function answeredOnce(
  request: KeyedRequest,
  exchange: Exchange,
  store: IdempotencyStore,
  answer: () => Answer | Promise<Answer>,
): Promise<Answer> {
  const key = exchange.header(KEY_HEADER);
  // What is too deep to be read has no effect either.
  if (key === undefined || bodyShapeErrors(request.input.body).length > 0) return answer();
  if (!KEY_PATTERN.test(key)) throw malformed(KEY_HEADER, KEY_RULE);

  const { kind, id } = exchange.principal.actor;
  const name: RequestName = { scope: `${kind}:${id}`, key };
  const lease = randomUUID();
  const beginning = await store.beginRequest(name, hashOf(request), lease, LEASE_MS);
  switch (beginning.kind) {
    case 'answered':
      exchange.setHeader('Idempotency-Replayed', 'true');
      return replayed(beginning.answer, exchange.requestId);
    case 'reused':
      throw new DomainError(
        'idempotency_key_reused',
        'This Idempotency-Key was used for another request.',
        { errors: [{ field: KEY_HEADER, message: 'must be a new one for each new request' }] },
      );
    case 'in_progress':
      throw new DomainError(
        'idempotency_in_progress',
        'The same request is being answered right now.',
        { retryAfterS: RETRY_AFTER_S },
      );
    case 'begun':
      exchange.stableId = (index) => idFrom(beginning.seed, index);
      return firstAnswer({ store, name, lease, exchange }, answer);
  }
}

interface Try {
  readonly store: IdempotencyStore;
  readonly name: RequestName;
  readonly lease: string;
  readonly exchange: Exchange;
}

async function firstAnswer(
  { store, name, lease, exchange }: Try,
  answer: () => Answer | Promise<Answer>,
): Promise<Answer> {
  const { log, requestId } = exchange;
  const alive = setInterval(() => {
    store.extendRequest(name, lease, LEASE_MS).catch(remark(log));
  }, EXTEND_EVERY_MS);
  try {
    const given = await answer();
    const kept =
      'json' in given ? { status: given.status, text: JSON.stringify(given.json) } : null;
    await settle({ store, name, lease, exchange }, kept);
    return given;
  } catch (thrown) {
    const error = errorFor(exchange.principal, expectedError(thrown));
    if (error.status === 400) await store.forgetRequest(name, lease).catch(remark(log));
    else {
      const text = JSON.stringify(problemOf(error, requestId));
      await settle({ store, name, lease, exchange }, { status: error.status, text });
    }
    throw thrown;
  } finally {
    clearInterval(alive);
  }
}

/** Never fails: what was done stands, and the ids that it made are found again by a repeat. */
async function settle({ store, name, lease, exchange }: Try, kept: StoredAnswer | null) {
  const lasting = kept !== null && kept.status < 500 && !PASSING.includes(kept.status);
  const settled = lasting ? store.keepAnswer(name, lease, kept) : store.reopenRequest(name, lease);
  await settled.catch(remark(exchange.log));
}

const remark =
  (log: Log) =>
  (error: unknown): void => {
    log.warn('an idempotency key could not be settled', { error });
  };

/** Problems carry the id of the request that they answer: of this one, not of the first. */
function replayed({ status, text }: StoredAnswer, requestId: string): Answer {
  if (status < 400) return { status, text, contentType: JSON_TYPE };
  const problem = JSON.parse(text) as Readonly<Record<string, unknown>>;
  return {
    status,
    text: JSON.stringify({ ...problem, requestId }),
    contentType: PROBLEM_CONTENT_TYPE,
  };
}

function hashOf({ method, path, input }: KeyedRequest): string {
  const query = [...new URLSearchParams(input.queryString)].filter(
    ([parameter]) => !ONLY_WAITING.includes(parameter),
  );
  return fingerprint({ method, path, query, body: input.body ?? {} });
}

/** What follows from the seed and the place in the request. */
const idFrom = (seed: string, index: number): string => uuidFrom(`${seed} ${index.toString()}`);
