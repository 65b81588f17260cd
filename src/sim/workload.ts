/**
 * What people and programs ask of the control plane in a history: creates alone and in batches,
 * deletes, starts and stops, groups, reservations, drains, cordons, rebuilds. A caller who gets no
 * clear answer asks another replica with the same id, as a good client does.
 */
import type { Caller } from '../control/caller.js';
import type { Control, CreateVmInput } from '../control/control.js';
import type { Constraints } from '../model/constraints.js';
import { DomainError } from '../model/errors.js';
import { GROUP_POLICIES } from '../model/groups.js';
import type { HostMode } from '../model/host.js';
import type { Resources } from '../model/resources.js';
import type { Prng } from '../std/prng.js';
import type { Auditor } from './auditor.js';
import type { Trace } from './trace.js';
import type { VirtualClock } from './virtual-clock.js';
import type { Violations } from './violations.js';

export interface WorkloadParts {
  readonly clock: VirtualClock;
  readonly prng: Prng;
  readonly trace: Trace;
  readonly auditor: Auditor;
  readonly violations: Violations;
  readonly caller: Caller;
  readonly hostIds: readonly string[];
  /** A replica that takes calls, as a load balancer would choose it; null when there is none. */
  control(): Control | null;
}

/** Longest wait of a caller for one answer, and how often the same is asked. */
const PATIENCE_MS = 4_000;
const TRIES_MAX = 4;

const PATHS = ['root', 'acme', 'acme:web'] as const;

/** Weights of what is asked. */
const WISHES = [
  ['create', 40],
  ['createMany', 10],
  ['delete', 18],
  ['start', 5],
  ['stop', 8],
  ['reserve', 5],
  ['endReservation', 2],
  ['consume', 3],
  ['drain', 2],
  ['cancelDrain', 2],
  ['mode', 3],
  ['rebuild', 1],
  ['twin', 2],
] as const;
type Wish = (typeof WISHES)[number][0];

const WEIGHTS = WISHES.reduce((sum, [, weight]) => sum + weight, 0);

type Verdict<T> = { readonly answer: T } | { readonly error: unknown } | 'silence';

export class Workload {
  readonly #parts: WorkloadParts;
  readonly #vmIds: string[] = [];
  readonly #inputs = new Map<string, CreateVmInput>();
  readonly #reservations: string[] = [];
  #asked = 0;
  #underWay = 0;
  #isOver = false;

  constructor(parts: WorkloadParts) {
    this.#parts = parts;
  }

  /** Calls that have no answer yet. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Begins to ask, a wish after each pause. */
  begin(pauseMsMax: number): void {
    const { clock, prng } = this.#parts;
    const next = () => {
      if (this.#isOver) return;
      void this.#wish(this.#draw());
      clock.at(prng.next() * pauseMsMax, next);
    };
    clock.at(0, next);
  }

  end(): void {
    this.#isOver = true;
  }

  #draw(): Wish {
    let left = this.#parts.prng.next() * WEIGHTS;
    for (const [wish, weight] of WISHES) {
      left -= weight;
      if (left < 0) return wish;
    }
    return 'create';
  }

  async #wish(wish: Wish): Promise<void> {
    this.#underWay += 1;
    await this.#carryOut(wish);
    this.#underWay -= 1;
  }

  async #carryOut(wish: Wish): Promise<void> {
    const { prng, auditor, caller, hostIds } = this.#parts;
    switch (wish) {
      case 'create':
        return this.#create(this.#input());
      case 'createMany':
        return this.#createMany(prng.between(2, 4));
      case 'delete':
        return this.#ofVm('delete', async (control, id) => {
          await control.deleteVm(id, caller);
          auditor.acceptDelete(id);
        });
      case 'start':
        return this.#ofVm('start', (control, id) => control.startVm(id, caller));
      case 'stop':
        return this.#ofVm('stop', (control, id) => control.stopVm(id, caller));
      case 'reserve':
        return this.#reserve();
      case 'endReservation':
        return this.#ofReservation((control, id) => control.endReservation(id, caller));
      case 'consume': {
        const reservation = this.#anyOf(this.#reservations);
        if (reservation === null) return;
        return this.#create({ id: this.#newId('vm'), resources: SMALL, reservation });
      }
      case 'drain': {
        const input = { dryRun: false, reason: 'sim', owner: null };
        const host = prng.pick(hostIds);
        return this.#ask('drain', (control) => control.drainHost(host, input, caller));
      }
      case 'cancelDrain': {
        const host = prng.pick(hostIds);
        return this.#ask('cancelDrain', (control) => control.cancelDrain(host, caller));
      }
      case 'mode':
        return this.#setMode(prng.pick(['cordoned', 'enabled', 'enabled']));
      case 'rebuild':
        return this.#ask('rebuild', (control) => control.rebuild({ dryRun: false }, caller));
      case 'twin':
        return this.#twin();
    }
  }

  async #create(input: CreateVmInput & { readonly id: string }): Promise<void> {
    const { auditor, caller, violations } = this.#parts;
    this.#inputs.set(input.id, input);
    const verdict = await this.#insist(`create ${input.id}`, (control) =>
      control.createVm(input, caller),
    );
    if (verdict === 'silence' || !('answer' in verdict)) return;
    violations.expect(verdict.answer.id === input.id, 'S9', () => `${input.id} has another answer`);
    this.#accepted(auditor, input.id);
  }

  async #createMany(count: number): Promise<void> {
    const { auditor, caller, prng } = this.#parts;
    const partial = prng.chance(0.5);
    const inputs = Array.from({ length: count }, () => {
      const { whenFull: _, ...input } = this.#input();
      return input;
    });
    const verdict = await this.#insist(`create ${count.toString()}`, (control) =>
      control.createVms(inputs, { partial }, caller),
    );
    if (verdict === 'silence' || !('answer' in verdict)) return;
    for (const outcome of verdict.answer) {
      if (outcome.status === 'placed') this.#accepted(auditor, outcome.vm.id);
    }
  }

  #accepted(auditor: Auditor, id: string): void {
    auditor.accept(id);
    this.#vmIds.push(id);
  }

  async #reserve(): Promise<void> {
    const { caller, prng } = this.#parts;
    const id = this.#newId('rsv');
    const expiresInS = prng.between(1, 20);
    const verdict = await this.#insist(`reserve ${id}`, (control) =>
      control.reserve({ id, resources: SMALL, expiresInS }, caller),
    );
    if (verdict !== 'silence' && 'answer' in verdict) this.#reservations.push(id);
  }

  /** The same id for something else: it must be refused. */
  async #twin(): Promise<void> {
    const { caller, violations } = this.#parts;
    const id = this.#anyOf(this.#vmIds);
    const input = id === null ? undefined : this.#inputs.get(id);
    if (id === null || input === undefined) return;
    const other = { ...input, resources: { ...input.resources, cpu: 99 } };
    const verdict = await this.#insist(`twin ${id}`, (control) => control.createVm(other, caller));
    const isRefused = verdict === 'silence' || 'error' in verdict;
    violations.expect(isRefused, 'S9', () => `${id} was given away twice`);
  }

  async #setMode(mode: HostMode): Promise<void> {
    const { caller, hostIds, prng } = this.#parts;
    const host = prng.pick(hostIds);
    const patch = { mode: { mode, reason: null, owner: null, endsInMs: null } };
    await this.#ask(`${mode} ${host}`, (control) => control.patchHost(host, patch, caller));
  }

  async #ofVm(name: string, call: (control: Control, id: string) => Promise<unknown>) {
    const id = this.#anyOf(this.#vmIds);
    if (id !== null) await this.#ask(`${name} ${id}`, (control) => call(control, id));
  }

  async #ofReservation(call: (control: Control, id: string) => Promise<unknown>) {
    const id = this.#anyOf(this.#reservations);
    if (id !== null) await this.#ask(`end ${id}`, (control) => call(control, id));
  }

  async #ask(name: string, call: (control: Control) => Promise<unknown>): Promise<void> {
    await this.#insist(name, call);
  }

  /** Asks until there is a clear answer, each time another replica. */
  async #insist<T>(name: string, call: (control: Control) => Promise<T>): Promise<Verdict<T>> {
    const { clock, prng, trace } = this.#parts;
    let verdict: Verdict<T> = 'silence';
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const control = this.#parts.control();
      if (control !== null) {
        trace.note(clock.monotonic(), `client ${name}`);
        verdict = await this.#once(name, call(control));
        if (verdict !== 'silence' && !('error' in verdict && isUnclear(verdict.error))) break;
      }
      await clock.sleep(50 + prng.next() * 200);
    }
    return verdict;
  }

  async #once<T>(name: string, call: Promise<T>): Promise<Verdict<T>> {
    const { clock, trace, violations } = this.#parts;
    const verdict = await new Promise<Verdict<T>>((resolve) => {
      const timer = clock.at(PATIENCE_MS, () => {
        resolve('silence');
      });
      const tell = (heard: Verdict<T>) => {
        timer.cancel();
        resolve(heard);
      };
      call.then(
        (answer) => {
          tell({ answer });
        },
        (error: unknown) => {
          tell({ error });
        },
      );
    });
    const failed = verdict !== 'silence' && 'error' in verdict ? verdict.error : null;
    const outcome = verdict === 'silence' ? 'silence' : failed === null ? 'ok' : codeOf(failed);
    trace.note(clock.monotonic(), `client ${name}: ${outcome}`);
    const isExpected = failed === null || failed instanceof DomainError;
    violations.expect(isExpected, 'BUG', () => `${name} broke: ${String(failed)}`);
    return verdict;
  }

  #input(): CreateVmInput & { readonly id: string } {
    const { prng } = this.#parts;
    const constraints = this.#constraints();
    return {
      id: this.#newId('vm'),
      path: prng.pick(PATHS),
      resources: { cpu: prng.between(1, 4), memory: prng.between(1, 8) * 512, disk: 1_024 },
      ...(constraints === null ? {} : { constraints }),
      ...(prng.chance(0.2) ? { whenFull: 'queue', deadlineS: prng.between(1, 30) } : {}),
    };
  }

  #constraints(): Constraints | null {
    const { prng } = this.#parts;
    if (prng.chance(0.25)) {
      const name = prng.pick(['db', 'web']);
      return { groups: [{ name, policy: prng.pick(GROUP_POLICIES) }] };
    }
    return prng.chance(0.1) ? { zone: prng.pick(['north', 'south']) } : null;
  }

  #newId(prefix: string): string {
    this.#asked += 1;
    return `${prefix}-${this.#asked.toString()}`;
  }

  #anyOf(from: readonly string[]): string | null {
    return from.length === 0 ? null : this.#parts.prng.pick(from);
  }
}

const SMALL: Resources = { cpu: 1, memory: 512, disk: 1_024 };

/** Whether the same may be asked again: the caller does not know, or is told to come back. */
const isUnclear = (error: unknown): boolean =>
  error instanceof DomainError && (error.status >= 500 || error.status === 429);

const codeOf = (error: unknown): string =>
  error instanceof DomainError ? error.code : 'unexpected error';
