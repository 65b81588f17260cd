/**
 * Those who follow events on this replica. One ticker for all of them puts changes in order and
 * wakes them; each then pulls its own pages from the catalogue, at its own speed. Nothing is kept
 * for a reader but its place, so a slow one costs no memory.
 */
import { DomainError } from '../model/errors.js';
import type { EventFilter, EventPlace, FleetEvent } from '../model/events.js';
import type { Clock, Log } from '../model/ports.js';
import type { EventStore } from '../model/stores/events.js';

export interface EventFeedOptions {
  readonly store: Pick<EventStore, 'sequenceEvents' | 'events' | 'positionOf' | 'newestBelow'>;
  readonly clock: Pick<Clock, 'monotonic' | 'sleep'>;
  readonly log: Log;
  /** Readers that this replica serves at once. */
  readonly readersMax: number;
  /** A reader to whom nothing was sent for so long is sent a sign of life. */
  readonly heartbeatMs: number;
  /** How often the ticker looks, while somebody follows. */
  readonly tickMs?: number;
}

/** Where a reader begins. */
export type EventStart =
  | { readonly from: 'now' }
  | { readonly from: 'start' }
  | { readonly from: 'after'; readonly key: string };

export interface ReaderOptions {
  readonly start: EventStart;
  readonly filter: EventFilter;
  /** Of events elsewhere this reader may not even know that they are; undefined: of all. */
  readonly within: string | undefined;
  /** false: only what has happened so far. */
  readonly follow: boolean;
  /** Ends the reading, and gives the reader's place to the next one. */
  readonly signal: AbortSignal;
}

/** What a reader receives: events, or nothing for so long that it should hear that we live. */
export type EventNews = readonly FleetEvent[] | 'heartbeat';

export interface EventReader {
  /** After which it begins; null when it begins before the oldest one that is kept. */
  readonly key: string | null;
  readonly news: AsyncIterable<EventNews>;
}

/** Of the readers of a replica, what one tenant may have: the others shall find a place. */
const TENANT_SHARE = 0.25;

const TICK_MS = 200;

/** After a failure of the catalogue. */
const RETRY_MS = 1_000;

/** Events that are read, and held, at once for one reader. */
const PAGE = 50;

/** Positions that one read looks through for what a filter lets pass. */
const SCAN_MAX = 20_000;

export class EventFeed {
  readonly #options: EventFeedOptions;
  readonly #tickMs: number;
  #head: EventPlace | null = null;
  #readers = 0;
  readonly #tenantReaders = new Map<string, number>();
  #ticking = false;
  readonly #sleepers = new Set<() => void>();

  constructor(options: EventFeedOptions) {
    this.#options = options;
    this.#tickMs = options.tickMs ?? TICK_MS;
  }

  /** @throws DomainError `rate_limited`, `events_expired`, `catalogue_unavailable` */
  async open(options: ReaderOptions): Promise<EventReader> {
    this.#enter(options);
    const place = await this.#placeOf(options);
    const head = await this.#look();
    void this.#tick();
    return {
      key: place.key,
      news: options.follow
        ? this.#follow(place.position, options)
        : this.#readUpTo(head.position, place.position, options),
    };
  }

  /** The place in the queue of readers lasts as long as the connection. */
  #enter({ signal, within }: ReaderOptions): void {
    const { readersMax } = this.#options;
    if (this.#readers >= readersMax) throw full('This replica serves no more readers of events.');
    if (within !== undefined) {
      const own = this.#tenantReaders.get(within) ?? 0;
      if (own >= Math.ceil(readersMax * TENANT_SHARE)) {
        throw full('This replica serves no more readers of events of this tenant.');
      }
    }
    if (signal.aborted) return;
    this.#count(within, 1);
    signal.addEventListener(
      'abort',
      () => {
        this.#count(within, -1);
        this.#wakeAll();
      },
      { once: true },
    );
  }

  #count(within: string | undefined, change: 1 | -1): void {
    this.#readers += change;
    if (within === undefined) return;
    const own = (this.#tenantReaders.get(within) ?? 0) + change;
    if (own === 0) this.#tenantReaders.delete(within);
    else this.#tenantReaders.set(within, own);
  }

  async #placeOf({ start, filter, within }: ReaderOptions): Promise<{
    readonly position: number;
    readonly key: string | null;
  }> {
    const { store } = this.#options;
    switch (start.from) {
      case 'after': {
        const position = await store.positionOf(start.key, within);
        if (position === null) throw expired();
        return { position, key: start.key };
      }
      case 'start':
        return { position: 0, key: null };
      case 'now': {
        const { position, key } = await this.#look();
        // The newest event of all would tell one tenant when another one does something.
        const shown =
          filter.path === undefined ? key : (await store.newestBelow(filter.path, position)).key;
        return { position, key: shown };
      }
    }
  }

  async *#follow(from: number, options: ReaderOptions): AsyncGenerator<EventNews> {
    const { clock, heartbeatMs } = this.#options;
    let position = from;
    let spokeAt = clock.monotonic();
    while (!options.signal.aborted) {
      const read = await this.#read(position, this.#head?.position ?? 0, options.filter);
      position = read.position;
      if (read.events.length > 0) {
        yield read.events;
        spokeAt = clock.monotonic();
        continue;
      }
      const silentMs = clock.monotonic() - spokeAt;
      if (silentMs >= heartbeatMs) {
        yield 'heartbeat';
        spokeAt = clock.monotonic();
      } else if (position >= (this.#head?.position ?? 0)) {
        await this.#wokenWithin(heartbeatMs - silentMs, options.signal);
      }
    }
  }

  async *#readUpTo(
    end: number,
    from: number,
    { filter, signal }: ReaderOptions,
  ): AsyncGenerator<EventNews> {
    let position = from;
    while (position < end && !signal.aborted) {
      const read = await this.#read(position, end, filter);
      position = read.position;
      if (read.events.length > 0) yield read.events;
    }
  }

  async #read(
    after: number,
    end: number,
    filter: EventFilter,
  ): Promise<{ readonly events: readonly FleetEvent[]; readonly position: number }> {
    if (after >= end) return { events: [], position: after };
    const upTo = Math.min(end, after + SCAN_MAX);
    const events = await this.#options.store.events({ after, upTo, filter, limit: PAGE });
    const last = events.at(-1);
    return { events, position: events.length === PAGE && last ? last.position : upTo };
  }

  /** Puts in order what is committed. @returns the newest place */
  async #look(): Promise<EventPlace> {
    let more = true;
    let head = this.#head;
    while (more || head === null) {
      ({ head, more } = await this.#options.store.sequenceEvents());
    }
    // Looks overlap, and their answers may come in another order.
    if (this.#head === null || head.position > this.#head.position) {
      this.#head = head;
      this.#wakeAll();
    }
    return head;
  }

  /** Looks as long as there is somebody to wake. */
  async #tick(): Promise<void> {
    if (this.#ticking) return;
    this.#ticking = true;
    const { clock, log } = this.#options;
    while (this.#readers > 0) {
      let pauseMs = this.#tickMs;
      try {
        await this.#look();
      } catch (error) {
        log.warn('events come later', { error });
        // Replicas that met the same failure must not come back together.
        pauseMs = RETRY_MS * (0.5 + Math.random());
      }
      await clock.sleep(pauseMs);
    }
    this.#ticking = false;
  }

  #wakeAll(): void {
    for (const wake of [...this.#sleepers]) wake();
  }

  async #wokenWithin(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const wake = () => {
      woken.abort();
    };
    this.#sleepers.add(wake);
    try {
      if (!signal.aborted) await this.#options.clock.sleep(ms, woken.signal);
    } finally {
      this.#sleepers.delete(wake);
    }
  }
}

const full = (message: string): DomainError =>
  new DomainError('rate_limited', message, { retryAfterS: 5 });

const expired = (): DomainError =>
  new DomainError(
    'events_expired',
    'The event to go on after is not kept (any more): read the present state, then follow anew.',
  );
