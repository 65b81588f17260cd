/**
 * Virtual time: a heap of timers, the earliest of which fires when nothing else can happen. Between
 * two timers everything that is ready runs to its end, so one seed gives one order of events.
 */
import type { Alarm, Clock } from '../model/ports.js';

/** A call that is to be made at an instant. */
export interface Timer {
  cancel(): void;
}

interface Entry {
  readonly atMs: number;
  /** Breaks ties: what was asked for first fires first. */
  readonly seq: number;
  fire: (() => void) | null;
}

/** 2026-01-01, so that times read like times. */
const EPOCH_MS = 1_767_225_600_000;

export class VirtualClock implements Clock {
  readonly #heap: Entry[] = [];
  #nowMs = 0;
  #seq = 0;
  #fired = 0;

  now(): number {
    return EPOCH_MS + Math.floor(this.#nowMs);
  }

  monotonic(): number {
    return this.#nowMs;
  }

  /** Timers that have fired. */
  get fired(): number {
    return this.#fired;
  }

  sleep(ms: number, alarm?: Alarm): Promise<void> {
    return new Promise((resolve) => {
      if (alarm?.aborted === true) {
        resolve();
        return;
      }
      if (alarm === undefined) {
        this.at(ms, resolve);
        return;
      }
      const onAbort = () => {
        timer.cancel();
        resolve();
      };
      const timer = this.at(ms, () => {
        alarm.removeEventListener('abort', onAbort);
        resolve();
      });
      alarm.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Calls something in `ms`. */
  at(ms: number, fire: () => void): Timer {
    this.#seq += 1;
    const entry: Entry = { atMs: this.#nowMs + Math.max(0, ms), seq: this.#seq, fire };
    this.#push(entry);
    return {
      cancel() {
        entry.fire = null;
      },
    };
  }

  /** Lets everything happen until this instant, or until `isOver` says so. */
  async runUntil(untilMs: number, isOver: () => boolean = () => false): Promise<void> {
    await drained();
    while (!isOver()) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) break;
      if (this.#fireNext()) await drained();
    }
    if (!isOver()) this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Lets the next thing happen. */
  async step(): Promise<void> {
    while (this.#heap.length > 0 && !this.#fireNext());
    await drained();
  }

  /** @returns false when the earliest timer had been cancelled */
  #fireNext(): boolean {
    const entry = this.#pop();
    const fire = entry?.fire ?? null;
    if (entry === undefined || fire === null) return false;
    this.#nowMs = entry.atMs;
    this.#fired += 1;
    fire();
    return true;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !isBefore(entry, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      let least = heap[left];
      let below = left;
      const right = heap[left + 1];
      if (right !== undefined && least !== undefined && isBefore(right, least)) {
        least = right;
        below = left + 1;
      }
      if (least === undefined || !isBefore(least, last)) break;
      heap[at] = least;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}

const isBefore = (left: Entry, right: Entry): boolean =>
  left.atMs < right.atMs || (left.atMs === right.atMs && left.seq < right.seq);

/**
 * Resolves when every microtask has run, those that they bring included: Node takes up the next tick
 * only then. That nothing in the simulation waits for more than microtasks, the trace would show.
 */
const drained = (): Promise<void> =>
  new Promise((resolve) => {
    process.nextTick(resolve);
  });
