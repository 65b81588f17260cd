/**
 * One client of the control plane in a history, and how it goes about what it wishes. Who gets no
 * clear answer asks another replica with the same id, as a good client does. Its chances are its own:
 * leaving one client out does not change what the others draw.
 */
import type { Caller } from '../control/caller.js';
import type { Control, CreateVmInput, JoinHostInput } from '../control/control.js';
import type { Constraints } from '../model/constraints.js';
import { DomainError } from '../model/errors.js';
import { GROUP_POLICIES } from '../model/groups.js';
import type { HostMode } from '../model/host.js';
import type { Resources } from '../model/resources.js';
import { ON_HOST_LOSS } from '../model/vm.js';
import type { Prng } from '../std/prng.js';
import type { SimHost } from './agents-double.js';
import type { Auditor } from './auditor.js';
import type { Trace } from './trace.js';
import type { VirtualClock } from './virtual-clock.js';
import type { Violations } from './violations.js';

export interface ClientParts {
  readonly name: string;
  readonly clock: VirtualClock;
  readonly prng: Prng;
  readonly trace: Trace;
  readonly auditor: Auditor;
  readonly violations: Violations;
  readonly caller: Caller;
  readonly hostIds: readonly string[];
  /** The machines themselves: an operator can go there. */
  readonly machines: readonly SimHost[];
  /** What the agent of a machine says when it joins. */
  joinOf(host: SimHost): JoinHostInput;
  /** A replica that takes calls, as a load balancer would choose it; null when there is none. */
  control(prng: Prng): Control | null;
}

/** Longest wait of a caller for one answer, and how often the same is asked. */
const PATIENCE_MS = 4_000;
const TRIES_MAX = 4;

/** Longest time after which what was asked may still be done. */
const LATE_MS_MAX = 10_000;

/** A host that went dark is no longer `up` by then, more often than not. */
const NOTICED_MS_MAX = 8_000;

const PATHS = ['root', 'acme', 'acme:web'] as const;

/** With what names of VMs begin that somebody starts past Berth. */
export const STRANGER = 'stranger';

/** So many hosts are not carried away. */
const HOSTS_LEFT_MIN = 4;

/** Weights of what is asked. */
export const WISHES = [
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
  ['fence', 2],
  ['rebuild', 1],
  ['twin', 2],
  ['again', 2],
  ['overrides', 2],
  ['rejoin', 1],
  ['stranger', 1],
  ['adopt', 2],
  ['retire', 1],
] as const;
export type Wish = (typeof WISHES)[number][0];

type Verdict<T> = { readonly answer: T } | { readonly error: unknown } | 'silence';

/** What the clients of a history know of each other's doings. */
export class Doings {
  readonly vmIds: string[] = [];
  readonly inputs = new Map<string, CreateVmInput>();
  readonly reservations: string[] = [];
}

export class Client {
  readonly #parts: ClientParts;
  readonly #doings: Doings;
  #asked = 0;

  /** @param parts with chances of its own, and a name that no other client has */
  constructor(parts: ClientParts, doings: Doings) {
    this.#parts = parts;
    this.#doings = doings;
  }

  async carryOut(wish: Wish): Promise<void> {
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
        const reservation = this.#anyOf(this.#doings.reservations);
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
      case 'fence':
        return this.#fence();
      case 'rebuild':
        return this.#ask('rebuild', (control) => control.rebuild({ dryRun: false }, caller));
      case 'twin':
        return this.#twin();
      case 'again':
        return this.#again();
      case 'overrides':
        return this.#override();
      case 'rejoin':
        return this.#rejoin(prng.pick(this.#parts.machines));
      case 'stranger':
        this.#plant(prng.pick(this.#parts.machines));
        return;
      case 'adopt':
        return this.#adopt();
      case 'retire':
        return this.#retire();
    }
  }

  async #create(input: CreateVmInput & { readonly id: string }): Promise<void> {
    const { auditor, caller, violations } = this.#parts;
    this.#doings.inputs.set(input.id, input);
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
    this.#doings.vmIds.push(id);
  }

  async #reserve(): Promise<void> {
    const { caller, prng } = this.#parts;
    const id = this.#newId('rsv');
    const expiresInS = prng.between(1, 20);
    const verdict = await this.#insist(`reserve ${id}`, (control) =>
      control.reserve({ id, resources: SMALL, expiresInS }, caller),
    );
    if (verdict !== 'silence' && 'answer' in verdict) this.#doings.reservations.push(id);
  }

  /** The same id for something else: it must be refused. */
  async #twin(): Promise<void> {
    const { caller, violations } = this.#parts;
    const id = this.#anyOf(this.#doings.vmIds);
    const input = id === null ? undefined : this.#doings.inputs.get(id);
    if (id === null || input === undefined) return;
    const other = { ...input, resources: { ...input.resources, cpu: 99 } };
    const verdict = await this.#insist(`twin ${id}`, (control) => control.createVm(other, caller));
    const isRefused = verdict === 'silence' || 'error' in verdict;
    violations.expect(isRefused, 'S9', () => `${id} was given away twice`);
  }

  /** The same once more, much later: it has the same answer and no second effect. */
  async #again(): Promise<void> {
    const { caller, violations } = this.#parts;
    const id = this.#anyOf(this.#doings.vmIds);
    const input = id === null ? undefined : this.#doings.inputs.get(id);
    if (id === null || input === undefined) return;
    const verdict = await this.#insist(`again ${id}`, (control) => control.createVm(input, caller));
    if (verdict === 'silence' || !('answer' in verdict)) return;
    violations.expect(verdict.answer.id === id, 'S9', () => `${id} has another answer`);
  }

  /** An agent comes once more, as after a restart of its program. */
  async #rejoin(host: SimHost): Promise<void> {
    const { caller } = this.#parts;
    if (host.power !== 'up') return;
    await this.#ask(`rejoin ${host.spec.id}`, (control) =>
      control.joinHost(this.#parts.joinOf(host), caller),
    );
  }

  /** A host gives less than it has, or all of it again. */
  async #override(): Promise<void> {
    const { caller, hostIds, prng } = this.#parts;
    const host = prng.pick(hostIds);
    const reserve = prng.chance(0.5) ? { cpu: prng.pick([0.25, 0.5, 0.9]) } : null;
    await this.#ask(`override ${host}`, (control) =>
      control.patchHost(host, { overrides: { reserve } }, caller),
    );
  }

  /** Somebody starts a VM on a host past Berth. */
  #plant(host: SimHost): void {
    const vmId = this.#newId(STRANGER);
    if (host.power === 'off') return;
    try {
      host.ensure({
        vmId,
        name: vmId,
        assignment: 1,
        resources: SMALL,
        image: null,
        users: [],
        overrides: {},
      });
    } catch (error) {
      // It has no room for it.
      if (!(error instanceof DomainError)) throw error;
    }
  }

  /** An operator looks for VMs that nobody has recorded, and keeps one or has it removed. */
  async #adopt(): Promise<void> {
    const { caller, prng } = this.#parts;
    const verdict = await this.#insist('strays', (control) => control.strays());
    if (verdict === 'silence' || !('answer' in verdict)) return;
    const { orphans } = verdict.answer;
    if (orphans.length === 0) return;
    const { host, vmId } = prng.pick(orphans);
    if (prng.chance(0.5)) {
      await this.#ask(`destroy ${vmId}`, (control) => control.destroyOrphan(host.id, vmId, caller));
      return;
    }
    const adopted = await this.#insist(`adopt ${vmId}`, (control) =>
      control.adoptOrphan(host.id, vmId, { path: 'root' }, caller),
    );
    if (adopted !== 'silence' && 'answer' in adopted) this.#doings.vmIds.push(vmId);
  }

  /** A machine is broken for good: it is carried away, and its host is taken out with what it had. */
  async #retire(): Promise<void> {
    const { caller, clock, machines, prng } = this.#parts;
    const left = machines.filter(({ isScrapped }) => !isScrapped);
    if (left.length <= HOSTS_LEFT_MIN) return;
    const host = prng.pick(left);
    const { id } = host.spec;
    host.scrap();
    for (;;) {
      const force = { reason: 'carried away' };
      const verdict = await this.#insist(`retire ${id}`, (control) =>
        control.retireHost(id, force, caller),
      );
      const isClear = verdict !== 'silence' && !('error' in verdict && isUnclear(verdict.error));
      if (isClear) return;
      await clock.sleep(LATE_MS_MAX);
    }
  }

  /** An operator goes to a host that is dark, or pulls its plug, keeps it so, and says it. */
  async #fence(): Promise<void> {
    const { caller, clock, machines, prng } = this.#parts;
    const left = machines.filter(({ isScrapped }) => !isScrapped);
    const dark = left.filter(({ power }) => power === 'off');
    const host = prng.pick(dark.length > 0 ? dark : left);
    const { id } = host.spec;
    const release = host.keepDark();
    if (dark.length === 0) await clock.sleep(prng.next() * NOTICED_MS_MAX);
    const verdict = await this.#insist(`fence ${id}`, (control) =>
      control.fenceHost(id, 'it is dark', caller),
    );
    // Without a clear answer it may still come to be.
    if (verdict === 'silence' || 'error' in verdict) await clock.sleep(LATE_MS_MAX);
    else await clock.sleep(prng.next() * NOTICED_MS_MAX);
    release();
  }

  async #setMode(mode: HostMode): Promise<void> {
    const { caller, hostIds, prng } = this.#parts;
    const host = prng.pick(hostIds);
    // Some cordons end by themselves.
    const endsInMs = mode === 'cordoned' && prng.chance(0.5) ? prng.between(1, 10) * 1_000 : null;
    const patch = { mode: { mode, reason: null, owner: null, endsInMs } };
    await this.#ask(`${mode} ${host}`, (control) => control.patchHost(host, patch, caller));
  }

  async #ofVm(name: string, call: (control: Control, id: string) => Promise<unknown>) {
    const id = this.#anyOf(this.#doings.vmIds);
    if (id !== null) await this.#ask(`${name} ${id}`, (control) => call(control, id));
  }

  async #ofReservation(call: (control: Control, id: string) => Promise<unknown>) {
    const id = this.#anyOf(this.#doings.reservations);
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
      const control = this.#parts.control(prng);
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
      ...(prng.chance(0.4) ? { onHostLoss: prng.pick(ON_HOST_LOSS) } : {}),
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
    return `${prefix}-${this.#parts.name}.${this.#asked.toString()}`;
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
