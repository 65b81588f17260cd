/**
 * Connections to hosts: one to each is kept, for whatever is asked next, poll or order. While it is
 * in use, others are made, which are soon given up: thousands of hosts with one connection each are
 * half of the files that a process may open.
 */
import { Agent, type Dispatcher } from 'undici';

export interface ConnectionLimits {
  /** Of connecting, of an answer's head and of a pause in its body. */
  readonly deadlineMs: number;
  readonly answerBytesMax: number;
  /** Orders to one host at once beside the kept connection; more wait. */
  readonly ordersPerHost: number;
}

/** A host that hangs with orders must not keep polls from being answered: each kind has its own. */
export type CallKind = 'poll' | 'order';

/** Where an agent does not say how long it keeps a connection. */
const KEEP_ALIVE_MS = 4_000;
/** However long an agent would keep it. */
const KEPT_MAX_MS = 10 * 60_000;
const SPARE_KEPT_MAX_MS = 2_000;

export class HostConnections {
  readonly #kept: Agent;
  readonly #spare: Readonly<Record<CallKind, Agent>>;
  /** Origins whose kept connection is in use. */
  readonly #inUse = new Set<string>();

  constructor({ deadlineMs, answerBytesMax, ordersPerHost }: ConnectionLimits) {
    const open = (connections: number, keptMaxMs: number) =>
      new Agent({
        connections,
        pipelining: 1,
        keepAliveTimeout: Math.min(KEEP_ALIVE_MS, keptMaxMs),
        keepAliveMaxTimeout: keptMaxMs,
        connect: { timeout: deadlineMs },
        headersTimeout: deadlineMs,
        bodyTimeout: deadlineMs,
        maxResponseSize: answerBytesMax,
      });
    // A pool takes 28 KB where one connection takes 7: only hosts with several calls at once have pools.
    this.#kept = open(1, KEPT_MAX_MS);
    this.#spare = {
      poll: open(1, SPARE_KEPT_MAX_MS),
      order: open(ordersPerHost, SPARE_KEPT_MAX_MS),
    };
  }

  /** Makes a call over one of the connections to an origin, which is in use until the call is over. */
  async use<Answer>(
    origin: string,
    kind: CallKind,
    call: (connections: Dispatcher) => Promise<Answer>,
  ): Promise<Answer> {
    if (this.#inUse.has(origin)) return call(this.#spare[kind]);
    this.#inUse.add(origin);
    try {
      return await call(this.#kept);
    } finally {
      this.#inUse.delete(origin);
    }
  }

  /** Resolves when what is under way is over. */
  async close(): Promise<void> {
    await Promise.all([this.#kept, ...Object.values(this.#spare)].map((agent) => agent.close()));
  }
}
