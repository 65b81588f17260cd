/**
 * What a journey is played on: a world, and a client who insists on an answer as good clients do,
 * with the same id and at another replica.
 */
import type { Caller } from '../../control/caller.js';
import type { Ports } from '../../control/ports.js';
import type { VerifyVerbs } from '../../control/repair-books.js';
import type { Control, CreateVmInput } from '../../control/control.js';
import { DomainError } from '../../model/errors.js';
import type { Resources } from '../../model/resources.js';
import type { Vm } from '../../model/vm.js';
import type { HostSpec, SimHost } from '../agents-double.js';
import type { Replica } from '../replica.js';
import type { World } from '../world.js';

/** How long a caller waits for one answer, its pause before it asks again, and when it gives up. */
const PATIENCE_MS = 6_000;
const PAUSE_MS = 300;
const INSIST_MS = 60_000;

/** How often something is looked at that is waited for. */
const LOOK_MS = 100;
const WAIT_MAX_MS = 60_000;

export const SMALL: Resources = { cpu: 1, memory: 512, disk: 1_024 };

/** Room of a host of these tests. */
const ROOM: Resources = { cpu: 4, memory: 4_096, disk: 100_000 };

export type Answer<T> = { readonly ok: T } | { readonly refused: string };

/** What is asked of a replica; a client of the API reaches the stores through it, too. */
export type Ask<T> = (control: Control, ports: Ports, books: VerifyVerbs) => Promise<T>;

export class Stage {
  /** Hosts that find no room for what they are told to have, whatever the books say. */
  readonly refusing = new Set<string>();
  readonly #world: World;
  #next = 0;

  constructor(world: World) {
    this.#world = world;
  }

  get world(): World {
    return this.#world;
  }

  get caller(): Caller {
    return this.#world.caller;
  }

  /** A machine that does as it is told, but for refusing what the stage says. */
  spec(at: number): HostSpec {
    const id = `host-${at.toString()}`;
    return {
      id,
      totals: ROOM,
      bootMs: 20,
      stopMs: 10,
      failsCreate: () => false,
      refusesClaim: () => this.refusing.has(id),
    };
  }

  sleep(ms: number): Promise<void> {
    return this.#world.clock.sleep(ms);
  }

  /** The machine of this name. */
  host(id: string): SimHost {
    const host = this.#world.fleet.hosts.get(id);
    if (host === undefined) throw new RangeError(`there is no ${id}`);
    return host;
  }

  /** What the catalogue says of a VM; null when it is not there (any more). */
  vm(id: string): Promise<Vm | null> {
    return this.#world.catalogue.vm(id);
  }

  /** Notes that something did not come about which the journey promises. */
  expect(holds: boolean, what: () => string): void {
    this.#world.violations.expect(holds, 'J', what);
  }

  /**
   * Asks until there is a clear answer, each time another replica.
   * @param repeated what a repeat may be refused with when the first try was carried out
   */
  async ask<T>(name: string, call: Ask<T>, repeated: readonly string[] = []): Promise<Answer<T>> {
    const { clock } = this.#world;
    const untilMs = clock.monotonic() + INSIST_MS;
    for (let tries = 1; clock.monotonic() < untilMs; tries += 1) {
      const replica = this.#replica();
      if (replica !== null) {
        const answer = await this.#once(name, call(replica.control, replica.ports, replica.books));
        if (answer !== null) {
          const isKnown = 'refused' in answer && tries > 1 && repeated.includes(answer.refused);
          return isKnown ? { refused: 'repeated' } : answer;
        }
      }
      await this.sleep(PAUSE_MS);
    }
    this.expect(false, () => `${name} never got a clear answer`);
    return { refused: 'silence' };
  }

  /**
   * Asks for what must be granted, if need be again: faults make hosts suspect for a while. @returns null when a repeat only shows that it was carried out
   */
  async must<T>(name: string, call: Ask<T>, repeated: readonly string[] = []): Promise<T | null> {
    const { clock } = this.#world;
    const untilMs = clock.monotonic() + WAIT_MAX_MS;
    let answer = await this.ask(name, call, repeated);
    while ('refused' in answer && answer.refused === 'no_feasible_host') {
      if (clock.monotonic() > untilMs) break;
      await this.sleep(PAUSE_MS);
      answer = await this.ask(name, call, repeated);
    }
    if ('ok' in answer) return answer.ok;
    this.expect(answer.refused === 'repeated', () => `${name} was refused: ${answer.refused}`);
    return null;
  }

  /** Asks for what must be refused. */
  async mustNot(name: string, code: string, call: Ask<unknown>): Promise<void> {
    const answer = await this.ask(name, call);
    const said = 'ok' in answer ? 'granted' : answer.refused;
    this.expect(said === code, () => `${name} was ${said}, not ${code}`);
  }

  /** Waits for what must come about. */
  async until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    const { clock } = this.#world;
    const untilMs = clock.monotonic() + WAIT_MAX_MS;
    while (clock.monotonic() < untilMs) {
      if (await holds()) return;
      await clock.sleep(LOOK_MS);
    }
    this.expect(false, () => `it never came about that ${what}`);
  }

  // What many journeys ask for.

  /** A VM that must be accepted. */
  async create(id: string, more: Partial<CreateVmInput> = {}): Promise<void> {
    const { auditor } = this.#world;
    const made = await this.must(`create ${id}`, (control) =>
      control.createVm({ id, resources: SMALL, ...more }, this.caller),
    );
    if (made !== null) auditor.accept(id);
  }

  async delete(id: string): Promise<void> {
    await this.must(`delete ${id}`, (control) => control.deleteVm(id, this.caller), ['not_found']);
    this.#world.auditor.acceptDelete(id);
  }

  /** VMs that run before the journey begins. */
  async running(...ids: readonly string[]): Promise<void> {
    for (const id of ids) await this.create(id);
    for (const id of ids) await this.untilState(id, 'running');
  }

  untilState(id: string, state: Vm['state']): Promise<void> {
    return this.until(`${id} is ${state}`, async () => (await this.vm(id))?.state === state);
  }

  async setMode(host: string, mode: 'cordoned' | 'enabled', endsInMs: number | null = null) {
    const patch = { mode: { mode, reason: null, owner: null, endsInMs } };
    await this.must(`${mode} ${host}`, (control) => control.patchHost(host, patch, this.caller));
  }

  /** Says where a VM must be in the end, and how. */
  async ends(id: string, state: Vm['state'], ...hosts: readonly string[]): Promise<void> {
    const vm = await this.vm(id);
    this.expect(vm?.state === state, () => `${id} is ${vm?.state ?? 'gone'}, not ${state}`);
    const host = vm?.host?.id ?? 'nowhere';
    const isThere = hosts.length === 0 || hosts.includes(host);
    this.expect(isThere, () => `${id} is ${host}, not on ${hosts.join(' or ')}`);
  }

  /** Says that there must be no such VM in the end. */
  async isGone(id: string): Promise<void> {
    const vm = await this.vm(id);
    this.expect(vm === null, () => `${id} is ${vm?.state ?? ''} and should be gone`);
  }

  #replica(): Replica | null {
    const { replicas } = this.#world;
    const first = this.#next % replicas.length;
    this.#next += 1;
    const inTurn = [...replicas.slice(first), ...replicas.slice(0, first)];
    return inTurn.find(({ process }) => process.isAlive) ?? null;
  }

  /** @returns null when the caller does not know, or is told to come back */
  async #once<T>(name: string, call: Promise<T>): Promise<Answer<T> | null> {
    const { clock } = this.#world;
    const answer = await new Promise<Answer<T> | null | { readonly broke: unknown }>((resolve) => {
      const timer = clock.at(PATIENCE_MS, () => {
        resolve(null);
      });
      call
        .then(
          (ok) => ({ ok }),
          (error: unknown) => (error instanceof DomainError ? told(error) : { broke: error }),
        )
        .then((heard) => {
          timer.cancel();
          resolve(heard);
        }, resolve);
    });
    if (answer === null || !('broke' in answer)) {
      this.#world.note(`client ${name}: ${answer === null ? 'unclear' : textOf(answer)}`);
      return answer;
    }
    this.#world.violations.add('BUG', `${name} broke: ${String(answer.broke)}`);
    return { refused: 'broke' };
  }
}

const told = (error: DomainError): { readonly refused: string } | null =>
  error.status >= 500 || error.status === 429 || error.code === 'create_in_progress'
    ? null
    : { refused: error.code };

const textOf = (answer: Answer<unknown>): string => ('ok' in answer ? 'ok' : answer.refused);
