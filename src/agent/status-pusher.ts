/**
 * Tells the control plane at once when a VM here has changed, instead of at its next poll. What does
 * not arrive is not lost: the poll says the same later, so tries are few.
 */
import type { Clock, Log } from '../model/ports.js';
import { fullJitterMs } from '../std/backoff.js';
import { errorLine } from '../std/error-code.js';
import { WakeUp } from '../std/wake-up.js';
import type { AgentStatusBody } from '../wire/agent.js';

export interface StatusPusherOptions {
  readonly controlPlaneUrl: string;
  /** With which this host proves itself, once it has joined. */
  readonly token: string;
  /** As it is now, under a new number. */
  status(): Promise<AgentStatusBody>;
  readonly clock: Clock;
  readonly log: Log;
  random(): number;
}

export interface StatusPusher {
  start(): void;
  /** A VM has changed, or is gone. */
  changed(): void;
  stop(): Promise<void>;
}

/** Changes that come together are told together. */
const GATHER_MS = 50;
const TRIES_MAX = 4;
const TRY_TIMEOUT_MS = 5_000;
const BACKOFF = { baseMs: 200, maxMs: 2_000 };
/** A look without a change does nothing. */
const IDLE_MS = 60_000;

export function createStatusPusher(options: StatusPusherOptions): StatusPusher {
  const { clock, log } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const wakeUp = new WakeUp(clock);
  let hasChanged = false;
  let running = Promise.resolve();

  const push = async (): Promise<void> => {
    for (let tries = 1; !signal.aborted; tries += 1) {
      // What changes from here on is told by this try, or by another push.
      hasChanged = false;
      const outcome = await pushOnce(options, signal);
      if (outcome === 'done') return;
      if (tries === TRIES_MAX) {
        log.debug('a change is left to the next poll');
        return;
      }
      await clock.sleep(fullJitterMs(tries, BACKOFF, options.random()), signal);
    }
  };

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      if (!hasChanged) await wakeUp.sleep(IDLE_MS);
      if (!hasChanged) continue;
      await clock.sleep(GATHER_MS, signal);
      await push();
    }
  };

  return {
    start() {
      running = run();
    },
    changed() {
      hasChanged = true;
      wakeUp.poke();
    },
    async stop() {
      stopping.abort();
      wakeUp.poke();
      await running;
    },
  };
}

/** `done`: it was told, or saying it again is of no use. */
type Outcome = 'done' | 'later';

async function pushOnce(options: StatusPusherOptions, stopping: AbortSignal): Promise<Outcome> {
  const { controlPlaneUrl, token, log } = options;
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(TRY_TIMEOUT_MS)]);
  try {
    const body = await beforeAbort(options.status(), signal);
    const response = await fetch(`${controlPlaneUrl}/v1/hosts/${body.hostId}/status`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      // The token is for this address only.
      redirect: 'error',
      signal,
    });
    await response.body?.cancel();
    if (response.ok) return 'done';
    log.debug('the control plane did not take a status', { status: response.status });
    return response.status >= 500 || response.status === 429 ? 'later' : 'done';
  } catch (error) {
    if (!stopping.aborted) log.debug('a status was not pushed', { error: errorLine(error) });
    return 'later';
  }
}

/** A driver that hangs must hold up neither the next try nor the end. */
function beforeAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      reject(new Error('there was no status in time'));
    };
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject);
    if (signal.aborted) abort();
  });
}
