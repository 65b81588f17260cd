/**
 * Whether the database says anything at all. One that hangs takes connections and never answers:
 * without this every caller would find that out for itself, one limit after another.
 */
import { performance } from 'node:perf_hooks';

/** Without a word from it for so long, an unanswered statement means that the database hangs. */
const QUIET_MIN_MS = 1_000;

/** While it hangs, one caller is let through so often, to find out whether it still does. */
const PROBE_EVERY_MS = 250;
/** What it waits: it may have waited before, and whoever gave it the request waits, too. */
const PROBE_MAX_MS = 500;

export class Silence {
  readonly #onBegin: () => void;
  readonly #nowMs: () => number;
  #isSilent = false;
  #heardAtMs = -Infinity;
  #probedAtMs = -Infinity;

  /** @param onBegin called when it falls silent */
  constructor(onBegin: () => void, nowMs = () => performance.now()) {
    this.#onBegin = onBegin;
    this.#nowMs = nowMs;
  }

  /** It answered, if only to refuse. */
  heard(): void {
    this.#heardAtMs = this.#nowMs();
    this.#isSilent = false;
  }

  /** It did not answer in time. */
  unheard(): void {
    if (this.#isSilent || this.#nowMs() - this.#heardAtMs < QUIET_MIN_MS) return;
    this.#isSilent = true;
    // Who asks next finds out whether that is so.
    this.#probedAtMs = -Infinity;
    this.#onBegin();
  }

  /**
   * How long it is worth waiting for an answer; who is told so must ask.
   * @param patienceMs of the caller
   * @returns 0: there is no use in asking
   */
  patienceMs(patienceMs: number): number {
    if (!this.#isSilent) return patienceMs;
    const now = this.#nowMs();
    if (now - this.#probedAtMs < PROBE_EVERY_MS) return 0;
    this.#probedAtMs = now;
    return Math.min(patienceMs, PROBE_MAX_MS);
  }
}
