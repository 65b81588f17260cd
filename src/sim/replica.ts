/**
 * A replica of the control plane in a simulated process: it can die, stand still, or be cut off from
 * what it speaks to. A process that is dead never gets another answer, so its loops end where they
 * are; what it had sent before goes on by itself.
 */
import type { ControlPlane } from '../control/control-plane.js';
import type { Ports } from '../control/ports.js';
import type { VerifyVerbs } from '../control/repair-books.js';
import { DomainError } from '../model/errors.js';
import type { Clock } from '../model/ports.js';
import { LIMIT_MS, TRIES_MAX, type CallFault, type CallPlan, type PortName } from './faults.js';
import { unavailable, type Link } from './link.js';
import type { Trace } from './trace.js';
import type { VirtualClock } from './virtual-clock.js';

export interface Surroundings {
  readonly clock: VirtualClock;
  readonly faults: CallPlan;
  readonly trace: Trace;
}

/** What a process does not come back from. A new one each time: one for all would keep all who wait. */
const never = () => new Promise<never>(() => undefined);

const NO_ANSWER: Readonly<Record<PortName, (site: string) => DomainError>> = {
  ledger: (site) => unavailable(`no answer to ${site}`),
  catalogue: () => new DomainError('catalogue_unavailable', 'The catalogue does not answer.'),
  agents: () => new DomainError('agent_unreachable', 'The agent did not answer.'),
};

export class SimProcess {
  readonly name: string;
  readonly #around: Surroundings;
  readonly #skewMs: number;
  readonly #cut = new Set<PortName>();
  #state: 'running' | 'paused' | 'dead' = 'running';
  #resumed: Promise<void> = Promise.resolve();
  #resume: () => void = () => undefined;
  #onDeath: () => void = () => undefined;

  /** @param skewMs how far its wall clock is off */
  constructor(name: string, around: Surroundings, skewMs = 0) {
    this.name = name;
    this.#around = around;
    this.#skewMs = skewMs;
  }

  get isAlive(): boolean {
    return this.#state !== 'dead';
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  /** @param onDeath called once, when the process has died */
  watch(onDeath: () => void): void {
    this.#onDeath = onDeath;
  }

  kill(): void {
    if (!this.isAlive) return;
    this.#state = 'dead';
    this.#note('dies');
    this.#onDeath();
  }

  pause(): void {
    if (!this.isRunning) return;
    this.#state = 'paused';
    this.#note('pauses');
    this.#resumed = new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'running';
    this.#note('goes on');
    this.#resume();
  }

  cut(port: PortName): void {
    this.#cut.add(port);
    this.#note(`is cut off from ${port}`);
  }

  heal(): void {
    this.#cut.clear();
    this.resume();
  }

  /** The process's own view of time: it wakes only while it runs. */
  get clock(): Clock {
    const { clock } = this.#around;
    return {
      now: () => clock.now() + this.#skewMs,
      monotonic: () => clock.monotonic(),
      sleep: async (ms, signal) => {
        await clock.sleep(ms, signal);
        if (!this.isRunning) await this.#awake();
      },
    };
  }

  /** The way to one of its ports. */
  link(port: PortName): Link {
    return async (site, effect) => {
      const { clock, faults } = this.#around;
      if (!this.isRunning) await this.#awake();
      const fault = this.#cut.has(port) ? 'refused' : faults.draw(site, port);
      const outMs = faults.latencyMs();
      if (outMs > 0) await clock.sleep(outMs);
      if (fault !== null) return this.#faulty(port, site, effect, fault);
      try {
        const result = await effect();
        this.#note(`${port}.${site}`);
        return result;
      } catch (error) {
        this.#note(`${port}.${site} failed`);
        throw error;
      } finally {
        // Most answers are there at once: a promise for each would be dear.
        const hearing = this.#heard();
        if (hearing !== null) await hearing;
      }
    };
  }

  async #faulty<T>(
    port: PortName,
    site: string,
    effect: () => T | Promise<T>,
    fault: CallFault,
  ): Promise<T> {
    this.#note(`${port}.${site} ${fault}`);
    switch (fault) {
      case 'crash-before':
        this.kill();
        return never();
      case 'crash-after':
        await this.#quietly(effect);
        this.kill();
        return never();
      case 'refused':
        return this.#giveUp(port, site);
      case 'late':
        this.#later(this.#around.faults.lateMs(port), port, site, effect);
        return this.#giveUp(port, site);
      case 'reply-lost':
        await this.#quietly(effect);
        return this.#giveUp(port, site);
      case 'twice':
        return this.#twice(port, site, effect);
      case 'aborted':
        return this.#aborted(port, site, effect);
    }
  }

  /** Nothing is left of a try that was aborted but the time that it took. */
  async #aborted<T>(port: PortName, site: string, effect: () => T | Promise<T>): Promise<T> {
    const { clock, faults } = this.#around;
    const aborts = faults.aborts();
    for (let times = 0; times < aborts; times += 1) await clock.sleep(faults.repeatMs(port));
    try {
      if (aborts >= TRIES_MAX) throw NO_ANSWER[port](site);
      return await effect();
    } finally {
      const hearing = this.#heard();
      if (hearing !== null) await hearing;
    }
  }

  /** Done once more at once or later; only the first doing is answered. */
  async #twice<T>(port: PortName, site: string, effect: () => T | Promise<T>): Promise<T> {
    const repeatMs = this.#around.faults.repeatMs(port);
    const answer = (async () => await effect())();
    if (repeatMs === 0) void this.#quietly(effect);
    else this.#later(repeatMs, port, site, effect);
    try {
      return await answer;
    } finally {
      await this.#heard();
    }
  }

  /** The answer is on its way back, and is read when the process runs; null: it is read now. */
  #heard(): Promise<void> | null {
    const backMs = this.#around.faults.latencyMs();
    return backMs > 0 || !this.isRunning ? this.#hearAfter(backMs) : null;
  }

  async #hearAfter(ms: number): Promise<void> {
    if (ms > 0) await this.#around.clock.sleep(ms);
    if (!this.isRunning) await this.#awake();
  }

  /** Does something of which nobody hears how it went. */
  async #quietly(effect: () => unknown): Promise<void> {
    try {
      await effect();
    } catch (error) {
      this.#note(`nobody hears: ${error instanceof Error ? error.message : 'failed'}`);
    }
  }

  async #awake(): Promise<void> {
    while (this.#state !== 'running') await (this.#state === 'dead' ? never() : this.#resumed);
  }

  /** @throws DomainError, when nobody would wait any longer */
  async #giveUp(port: PortName, site: string): Promise<never> {
    await this.#around.clock.sleep(LIMIT_MS[port]);
    await this.#awake();
    throw NO_ANSWER[port](site);
  }

  #later(ms: number, port: PortName, site: string, effect: () => unknown): void {
    this.#around.clock.at(ms, () => {
      this.#note(`${port}.${site} is done now`);
      void this.#quietly(effect);
    });
  }

  #note(what: string): void {
    this.#around.trace.note(this.#around.clock.monotonic(), `${this.name} ${what}`);
  }
}

/** A process with the control plane that runs in it. */
export interface Replica {
  readonly process: SimProcess;
  readonly control: ControlPlane;
  /** As this replica reaches them. */
  readonly ports: Ports;
  /** Verify and its repairs. */
  readonly books: VerifyVerbs;
}
