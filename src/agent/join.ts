/**
 * How an agent makes itself known: it joins at its start, and again whenever nobody has asked for
 * its status for a while. So a control plane that forgot it, or has an old address of it, learns of
 * it without anybody's help. Tries for ever.
 */
import type { Clock, Log } from '../model/ports.js';
import { fullJitterMs } from '../std/backoff.js';
import type { JoinHostBody } from '../wire/hosts.js';
import { problemSchema } from '../wire/problem.js';

export interface JoinerOptions {
  readonly controlPlaneUrl: string;
  /** What this host is known by, once it has joined. */
  readonly ownToken: string;
  /** Whether it has never joined, so that its own token opens nothing yet. */
  readonly isNew: boolean;
  /** The token for the first join; null when there is none. */
  readonly joinToken: (name: string) => Promise<string | null>;
  /** Measured anew for each try. */
  body(): Promise<JoinHostBody>;
  /** Joins again after this long without a poll. */
  readonly rejoinAfterMs: number;
  readonly clock: Clock;
  readonly log: Log;
  random(): number;
  /** Pauses between tries; shorter in tests. */
  readonly backoff?: BackoffLimits | undefined;
}

export interface BackoffLimits {
  readonly baseMs: number;
  readonly maxMs: number;
}

export interface Joiner {
  start(): void;
  /** The control plane asked for the status. */
  polled(): void;
  /** Resolves at the first join that succeeds. */
  readonly joined: Promise<void>;
  stop(): Promise<void>;
}

const TRY_TIMEOUT_MS = 10_000;
const DEFAULT_BACKOFF: BackoffLimits = { baseMs: 500, maxMs: 15_000 };

/** How much slower than others a refusal is tried again that only somebody's hand can cure. */
const REFUSED_FACTOR = 8;

/** `refused`: the request itself is not liked, so trying it again soon is of little use. */
type Outcome = 'joined' | 'later' | 'refused';

export function createJoiner(options: JoinerOptions): Joiner {
  const { clock, rejoinAfterMs, backoff = DEFAULT_BACKOFF } = options;
  const keys = keysOf(options);
  const stopping = new AbortController();
  const { signal } = stopping;
  const isStopping = () => signal.aborted;
  let polledAt = clock.monotonic();
  let running = Promise.resolve();
  let announce = (): void => undefined;
  const joined = new Promise<void>((resolve) => {
    announce = resolve;
  });

  const joinOnce = async (): Promise<void> => {
    for (let tries = 0; !isStopping(); tries += 1) {
      const outcome = await tryToJoin(options, keys, signal);
      if (outcome === 'joined') {
        announce();
        return;
      }
      const factor = outcome === 'refused' ? REFUSED_FACTOR : 1;
      const limits = { baseMs: backoff.baseMs * factor, maxMs: backoff.maxMs * factor };
      await clock.sleep(fullJitterMs(tries, limits, options.random()), signal);
    }
  };

  const run = async (): Promise<void> => {
    while (!isStopping()) {
      await joinOnce();
      polledAt = clock.monotonic();
      let restMs = rejoinAfterMs;
      while (restMs > 0 && !isStopping()) {
        await clock.sleep(restMs, signal);
        restMs = polledAt + rejoinAfterMs - clock.monotonic();
      }
      if (!isStopping()) options.log.warn('nobody asks for this host any more; joining again');
    }
  };

  return {
    joined,
    start() {
      running = run();
    },
    polled() {
      polledAt = clock.monotonic();
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

async function tryToJoin(
  options: JoinerOptions,
  keys: Keys,
  stopping: AbortSignal,
): Promise<Outcome> {
  const { log } = options;
  try {
    const body = await options.body();
    let outcome: Outcome | null = null;
    for await (const key of keys.inOrder(body.name)) {
      const response = await send(options.controlPlaneUrl, key, body, stopping);
      outcome = outcomeOf(response.status, await answerOf(response), body.id, log);
      if (outcome === 'joined') keys.opened();
      if (![401, 403].includes(response.status)) return outcome;
      keys.refused(key);
    }
    if (outcome === null) log.error('this host needs a token to join with: BERTH_JOIN_TOKEN');
    return outcome ?? 'refused';
  } catch (error) {
    if (!stopping.aborted) log.warn('the control plane cannot be reached', { error });
    return 'later';
  }
}

const send = (url: string, key: string, body: JoinHostBody, stopping: AbortSignal) =>
  fetch(`${url}/v1/hosts`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    // The token is for this address only.
    redirect: 'error',
    signal: AbortSignal.any([stopping, AbortSignal.timeout(TRY_TIMEOUT_MS)]),
  });

/** What to show at a join: the likelier key first, the other when that one is not taken. */
interface Keys {
  inOrder(name: string): AsyncIterable<string>;
  opened(): void;
  refused(key: string): void;
}

function keysOf({ ownToken, isNew, joinToken }: JoinerOptions): Keys {
  let isKnown = !isNew;
  /** Kept until it is refused: a repeat with it is the same use. */
  let ticket: string | null = null;
  return {
    async *inOrder(name) {
      if (isKnown) yield ownToken;
      ticket ??= await joinToken(name);
      if (ticket !== null) yield ticket;
      if (!isKnown) yield ownToken;
    },
    opened() {
      isKnown = true;
    },
    refused(key) {
      if (key === ticket) ticket = null;
    },
  };
}

function outcomeOf(status: number, answer: unknown, hostId: string, log: Log): Outcome {
  if (status >= 200 && status < 300 && isHost(answer, hostId)) {
    log.info('joined', { hostId });
    return 'joined';
  }
  const problem = problemSchema.safeParse(answer);
  const fields = problem.success
    ? { status, code: problem.data.code, detail: problem.data.detail }
    : { status };
  const passes = status < 400 || status >= 500 || [401, 409, 429].includes(status);
  if (passes) log.warn('the control plane did not let this host join', fields);
  else
    log.error('the control plane refuses this host', { ...fields, errors: problem.data?.errors });
  return passes ? 'later' : 'refused';
}

/** A web page with status 200 is not a control plane. */
const isHost = (answer: unknown, hostId: string): boolean =>
  typeof answer === 'object' && answer !== null && 'id' in answer && answer.id === hostId;

async function answerOf(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
