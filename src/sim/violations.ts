/** What an auditor has found: which rule was broken, how, and when. */
import type { Trace } from './trace.js';

export interface Violation {
  /** I1 to I12 of the architecture, S1 to S23 and L1 to L6 of the reliability page. */
  readonly rule: string;
  readonly detail: string;
  readonly atMs: number;
}

/** More of them say nothing new. */
const KEPT_MAX = 20;

export class Violations {
  readonly #found: Violation[] = [];
  readonly #trace: Trace;
  readonly #nowMs: () => number;

  constructor(trace: Trace, nowMs: () => number) {
    this.#trace = trace;
    this.#nowMs = nowMs;
  }

  get found(): readonly Violation[] {
    return this.#found;
  }

  get any(): boolean {
    return this.#found.length > 0;
  }

  add(rule: string, detail: string): void {
    this.#trace.note(this.#nowMs(), `VIOLATION ${rule}: ${detail}`);
    if (this.#found.length < KEPT_MAX) this.#found.push({ rule, detail, atMs: this.#nowMs() });
  }

  /** Notes a violation unless something holds. */
  expect(holds: boolean, rule: string, detail: () => string): void {
    if (!holds) this.add(rule, detail());
  }
}
