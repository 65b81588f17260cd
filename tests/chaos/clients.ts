/**
 * The clients of a chaos run: about so many operations a second, each repeated with the same key at
 * another replica until it is answered. They remember what was acknowledged, and say when an answer
 * contradicts what they were told before.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Prng } from '../../src/std/prng.js';
import { ADMIN_TOKEN } from '../support/cluster.js';
import { machineMs } from './observed-driver.js';

/** One HTTP request, answered or not. */
export interface Attempt {
  readonly began: number;
  readonly ended: number;
  readonly replica: number;
  readonly write: boolean;
  /** 0 when there was no answer. */
  readonly status: number;
  /** Of a refusal: its code. */
  readonly code: string;
}

export const hasFailed = ({ status }: Attempt): boolean => status === 0 || status >= 500;

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface KnownVm {
  readonly id: string;
  readonly name: string;
  /** When a delete of it was first asked for, whatever became of that. */
  deleteAsked: number | null;
  deleteAcked: number | null;
}

const PERIOD_MS = 50;
const IN_FLIGHT_MAX = 150;
const ATTEMPT_LIMIT_MS = 8_000;
const OPERATION_LIMIT_MS = 40_000;
const PAUSE_MS = [100, 500] as const;
const VMS_AIM = 130;

export class Clients {
  readonly attempts: Attempt[] = [];
  readonly violations: string[] = [];
  /** VMs that were acknowledged, by id. */
  readonly known = new Map<string, KnownVm>();
  readonly counts: Record<string, number> = {};
  readonly #reservations = new Set<string>();
  #names = 0;
  #inFlight = 0;
  #running = false;
  #round = 0;

  constructor(
    private readonly urls: readonly string[],
    private readonly hosts: readonly string[],
    private readonly random: Prng,
    /** So that keys of two runs differ. */
    private readonly tag: string,
  ) {}

  /** Begins to ask. */
  start(): void {
    this.#running = true;
    this.#round += 1;
    void this.#ask(this.#round);
  }

  /** Asks nothing new, and resolves when everything was answered or given up. */
  async rest(): Promise<void> {
    this.#running = false;
    while (this.#inFlight > 0) await sleep(PERIOD_MS);
  }

  /** VMs that must still be there: acknowledged, and nobody has asked to delete them. */
  alive(): readonly KnownVm[] {
    return [...this.known.values()].filter(({ deleteAsked }) => deleteAsked === null);
  }

  async #ask(round: number): Promise<void> {
    while (this.#running && this.#round === round) {
      await sleep(PERIOD_MS);
      if (this.#inFlight >= IN_FLIGHT_MAX) continue;
      this.#inFlight += 1;
      this.#something()
        .catch((error: unknown) => {
          this.violations.push(`a client broke: ${String(error)}`);
        })
        .finally(() => (this.#inFlight -= 1));
    }
  }

  #something(): Promise<void> {
    const { random } = this;
    const alive = this.alive();
    // More deletes the more there are.
    const share = Math.min(0.6, (0.35 * alive.length) / VMS_AIM);
    const chance = random.next();
    if (chance < 0.02) return this.#cordon();
    if (chance < 0.03) return this.#drain();
    if (chance < 0.07) return this.#reservation();
    if (chance < 0.11) return this.#batch();
    if (alive.length > 0) {
      const vm = random.pick(alive);
      if (chance < 0.2) return this.#stopOrStart(vm);
      if (chance < 0.35) return this.#read(vm);
      if (chance < 0.35 + share) return this.#delete(vm);
    }
    return this.#create();
  }

  async #create(): Promise<void> {
    const name = this.#newName();
    const { random } = this;
    const body = {
      name,
      resources: this.#size(),
      onHostLoss: random.chance(0.5) ? 'restart' : 'keep',
      ...(random.chance(0.1) ? { whenFull: 'queue', deadlineS: 30 } : {}),
    };
    const answer = await this.#operation('create', 'POST', '/v1/vms', body, name);
    if (answer?.status !== 202) return;
    const id = String(answer.body.id);
    this.#know(id, name);
    if (!random.chance(0.1)) return;
    const again = await this.#operation('create', 'POST', '/v1/vms', body, name);
    if (again?.status === 202 && again.body.id !== id)
      this.violations.push(`key ${name} got VM ${id} and then ${String(again.body.id)}`);
  }

  async #batch(): Promise<void> {
    const name = this.#newName();
    const body = { name, count: this.random.between(2, 5), resources: this.#size() };
    const answer = await this.#operation('batch', 'POST', '/v1/vms', body, name);
    if (answer?.status !== 202) return;
    const { items } = answer.body as { items: { vm?: { id: string; name: string } }[] };
    for (const { vm } of items) if (vm !== undefined) this.#know(vm.id, vm.name);
  }

  async #delete(vm: KnownVm): Promise<void> {
    vm.deleteAsked = machineMs();
    const answer = await this.#operation('delete', 'DELETE', `/v1/vms/${vm.id}`);
    // A repeat after the first one took effect may find nothing.
    if (answer?.status === 202 || answer?.status === 404) vm.deleteAcked = machineMs();
  }

  async #stopOrStart(vm: KnownVm): Promise<void> {
    const verb = this.random.pick(['stop', 'start', 'start']);
    const path = `/v1/vms/${vm.id}/${verb}`;
    const answer = await this.#operation(verb, 'POST', path, undefined, this.#newName());
    this.#mustBeThere(vm, answer);
  }

  async #read(vm: KnownVm): Promise<void> {
    this.#mustBeThere(vm, await this.#operation('read', 'GET', `/v1/vms/${vm.id}`));
  }

  #mustBeThere({ id, deleteAsked }: KnownVm, answer: Answer | null): void {
    if (answer?.status === 404 && deleteAsked === null)
      this.violations.push(`VM ${id} was acknowledged, never deleted, and is not found`);
  }

  async #reservation(): Promise<void> {
    const [old] = this.#reservations;
    if (old !== undefined && this.random.chance(0.5)) {
      this.#reservations.delete(old);
      await this.#operation('release', 'DELETE', `/v1/reservations/${old}`);
      return;
    }
    const name = this.#newName();
    const body = { name, resources: this.#size(), expiresInS: this.random.between(5, 60) };
    const answer = await this.#operation('reserve', 'POST', '/v1/reservations', body, name);
    if (answer?.status === 201) this.#reservations.add(String(answer.body.id));
  }

  async #cordon(): Promise<void> {
    const path = `/v1/hosts/${this.random.pick(this.hosts)}`;
    const expiresInS = this.random.between(2, 10);
    const body = { mode: 'cordoned', reason: 'chaos', expiresInS };
    const answer = await this.#operation('cordon', 'PATCH', path, body);
    if (answer?.status !== 200 || this.random.chance(0.3)) return;
    await this.#operation('enable', 'PATCH', path, { mode: 'enabled' });
  }

  async #drain(): Promise<void> {
    const path = `/v1/hosts/${this.random.pick(this.hosts)}/drain`;
    const answer = await this.#operation(
      'drain',
      'POST',
      path,
      { reason: 'chaos' },
      this.#newName(),
    );
    if (answer?.status !== 202) return;
    await sleep(this.random.between(500, 4_000));
    await this.#operation('undrain', 'DELETE', path);
  }

  /** Repeats until there is an answer that says something of the request. @returns null: unknown */
  async #operation(
    what: string,
    method: string,
    path: string,
    body?: unknown,
    key?: string,
  ): Promise<Answer | null> {
    const end = machineMs() + OPERATION_LIMIT_MS;
    let replica = this.random.between(0, this.urls.length - 1);
    while (machineMs() < end) {
      const answer = await this.#attempt(replica, method, path, body, key);
      const { status } = answer;
      const mayRepeat = status === 0 || status >= 500 || status === 429;
      const isBusy = status === 409 && answer.body.code === 'idempotency_in_progress';
      if (!mayRepeat && !isBusy) {
        this.#count(`${what} ${status.toString()}`);
        this.#judge(what, answer);
        return answer;
      }
      if (status === 500) this.#judge(what, answer);
      await sleep(this.random.between(...PAUSE_MS));
      replica = (replica + 1) % this.urls.length;
    }
    this.#count(`${what} given up`);
    return null;
  }

  async #attempt(
    replica: number,
    method: string,
    path: string,
    body: unknown,
    key: string | undefined,
  ): Promise<Answer> {
    const began = machineMs();
    let answer: Answer = { status: 0, body: {} };
    try {
      const response = await fetch(`${this.urls[replica] ?? ''}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${ADMIN_TOKEN}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(key === undefined ? {} : { 'idempotency-key': key }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(ATTEMPT_LIMIT_MS),
      });
      const text = await response.text();
      answer = {
        status: response.status,
        body: text === '' ? {} : (JSON.parse(text) as object as Answer['body']),
      };
    } catch {
      // No answer is what a client may meet here.
    }
    const write = method !== 'GET';
    const { status, body: said } = answer;
    const code = typeof said.code === 'string' ? said.code : '';
    this.attempts.push({ began, ended: machineMs(), replica, write, status, code });
    return answer;
  }

  /** Refusals that a well-formed request cannot earn. */
  #judge(what: string, { status, body }: Answer): void {
    if (status === 500 || (status >= 400 && ![404, 409].includes(status)))
      this.violations.push(`${what} was answered ${status.toString()} ${JSON.stringify(body)}`);
  }

  #know(id: string, name: string): void {
    if (!this.known.has(id)) this.known.set(id, { id, name, deleteAsked: null, deleteAcked: null });
  }

  #newName(): string {
    this.#names += 1;
    return `c${this.tag}-${this.#names.toString()}`;
  }

  #size(): Record<string, number> {
    const { random } = this;
    return {
      cpu: random.between(1, 4),
      memory: random.between(1, 8) * 256,
      disk: random.between(1, 10) * 1_000,
    };
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}
