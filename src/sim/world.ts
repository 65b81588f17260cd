/** The world of a history: the doubles, the replicas that run on them, and who watches. */
import type { Caller } from '../control/caller.js';
import { createControlPlane } from '../control/control-plane.js';
import type { Ports } from '../control/ports.js';
import type { ControlSettings } from '../control/settings.js';
import { DomainError } from '../model/errors.js';
import type { Catalogue, Log, LogFields } from '../model/ports.js';
import { cosine } from '../placement/cosine.js';
import { weightsOf } from '../placement/strategy.js';
import type { Prng } from '../std/prng.js';
import { SimFleet, SimHost } from './agents-double.js';
import { Auditor } from './auditor.js';
import { catalogueDouble } from './catalogue/catalogue.js';
import { Faults } from './faults.js';
import { LedgerBooks } from './ledger-books.js';
import { createLedgerDouble } from './ledger-double.js';
import type { Link } from './link.js';
import { SimProcess, type Replica } from './replica.js';
import { Trace } from './trace.js';
import { VirtualClock } from './virtual-clock.js';
import { Violations } from './violations.js';

/** Puts something between a control plane and its ports. */
export type Sabotage = (ports: Ports) => Partial<Ports>;

const REPLICAS = 3;

/** All may be booked once. */
const POLICY = { overcommit: {}, reserve: {} };

/** A dead process is started anew after this time, at most. */
const RESTART_MS_MAX = 3_000;

/** How far the wall clock of a process may be off. */
const SKEW_MS_MAX = 3_600_000;

const DAY_MS = 86_400_000;

const SETTINGS: Omit<ControlSettings, 'replicaId'> = {
  scheduler: {
    ranking: { strategy: cosine, weights: weightsOf({}) },
    queueMax: 100,
    batchMax: 16,
    holdMs: 100,
    deadlineMs: 2_000,
  },
  lifecycle: { leaseMs: 2_000, tickMs: 1_000, concurrencyMax: 16, perHostMax: 4, attemptsMax: 3 },
  waiting: { deadlineS: 20 },
  health: { periodS: 2, concurrencyMax: 16, onMissing: 'mark' },
  bookingLeaseMs: 3_000,
  keep: { eventsMs: DAY_MS, auditMs: DAY_MS },
};

export class World {
  readonly clock = new VirtualClock();
  readonly trace = new Trace();
  readonly violations: Violations;
  readonly faults: Faults;
  readonly books: LedgerBooks;
  readonly fleet = new SimFleet();
  readonly catalogue: Catalogue;
  readonly auditor: Auditor;
  readonly caller: Caller;
  readonly #prng: Prng;
  readonly #sabotage: Sabotage;
  readonly #replicas: Replica[] = [];
  #ids = 0;
  #processes = 0;
  #isOver = false;

  constructor(prng: Prng, sabotage: Sabotage = () => ({})) {
    this.#prng = prng;
    this.#sabotage = sabotage;
    this.violations = new Violations(this.trace, () => this.clock.monotonic());
    this.faults = new Faults(prng.fork('faults'));
    this.books = new LedgerBooks(() => this.clock.now());
    const double = catalogueDouble({ clock: this.clock, newId: () => this.#newId() });
    this.catalogue = double.catalogue;
    this.auditor = new Auditor(this);
    const actor = { kind: 'token', id: 'sim', name: 'sim', requestId: null } as const;
    this.caller = { actor, log: this.#log('client') };
    this.#build();
  }

  get replicas(): readonly Replica[] {
    return this.#replicas;
  }

  note(what: string): void {
    this.trace.note(this.clock.monotonic(), what);
  }

  /** Starts the replicas and has every host join. */
  async start(): Promise<void> {
    for (let slot = 0; slot < REPLICAS; slot += 1) this.#boot(slot);
    await this.clock.runUntil(100);
    const control = this.#replicas[0]?.control;
    for (const [id, host] of this.fleet.hosts) {
      void control?.joinHost(
        {
          id,
          name: id,
          address: `http://${id}.sim`,
          credential: 'secret',
          zone: Number(id.slice(-1)) % 2 === 0 ? 'north' : 'south',
          labels: {},
          totals: host.totals,
          version: 'sim',
          bootId: host.bootId,
          ticket: { by: 'admin' },
        },
        this.caller,
      );
    }
  }

  /** Nothing goes on: what is under way never ends. */
  stop(): void {
    this.#isOver = true;
    for (const { process } of this.#replicas) process.kill();
  }

  #build(): void {
    const prng = this.#prng.fork('fleet');
    const count = prng.chance(0.75) ? prng.between(5, 7) : prng.between(8, 20);
    const failShare = prng.chance(0.3) ? prng.next() * 0.3 : 0;
    const refuseShare = prng.chance(0.3) ? prng.next() * 0.3 : 0;
    const bootMs = prng.pick([5, 100, 1_000]);
    const size = prng.pick([4, 8, 16]);
    for (let at = 1; at <= count; at += 1) {
      const cpu = size + prng.between(0, 4);
      const totals = { cpu, memory: cpu * 1_024, disk: 100_000 };
      const failing = prng.fork(`host ${at.toString()}`);
      const spec = {
        id: `host-${at.toString()}`,
        totals,
        bootMs,
        stopMs: bootMs / 2,
        failsCreate: () => failing.chance(failShare),
        refusesClaim: () => failing.chance(refuseShare),
      };
      this.fleet.add(new SimHost(spec, this.clock, POLICY, this.auditor));
    }
  }

  #boot(slot: number): void {
    this.#processes += 1;
    const name = `r${slot.toString()}.${this.#processes.toString()}`;
    const prng = this.#prng.fork(name);
    const skewMs = prng.chance(0.2) ? prng.between(-SKEW_MS_MAX, SKEW_MS_MAX) : 0;
    const process = new SimProcess(name, this, skewMs);
    process.watch(() => {
      if (this.#isOver) return;
      this.clock.at(prng.next() * RESTART_MS_MAX, () => {
        if (!this.#isOver) this.#boot(slot);
      });
    });
    const ports = this.#portsOf(process, prng);
    const control = createControlPlane(
      { ...ports, ...this.#sabotage(ports) },
      { ...SETTINGS, replicaId: name },
    );
    this.#replicas[slot] = { process, control };
    this.note(`${name} starts`);
    void control.start();
  }

  #portsOf(process: SimProcess, prng: Prng): Ports {
    const { clock } = process;
    return {
      ledger: createLedgerDouble({
        books: this.books,
        link: this.#auditedLink(process.link('ledger')),
        clock,
        newId: () => this.#newId(),
        random: () => prng.next(),
      }),
      catalogue: this.#catalogueFor(process.link('catalogue')),
      agents: this.fleet.agents(process.link('agents')),
      clock,
      log: this.#log(process.name),
      telemetry: { count: () => undefined, observe: () => undefined },
      newId: () => this.#newId(),
      random: () => prng.next(),
      schedule: (_name, periodS, tick) => this.#schedule(process, periodS * 1_000, tick),
      checkpoint: () => undefined,
    };
  }

  /** The catalogue as one replica reaches it: each call is one trip, and is audited where it lands. */
  #catalogueFor(link: Link): Catalogue {
    const { auditor } = this;
    const calls = new Map<string | symbol, unknown>();
    return new Proxy(this.catalogue, {
      get(target, name, receiver) {
        const method: unknown = Reflect.get(target, name, receiver);
        if (typeof method !== 'function' || typeof name === 'symbol') return method;
        const known = calls.get(name);
        if (known !== undefined) return known;
        const call = (...args: readonly unknown[]) =>
          link(name, () =>
            auditor.around(
              name,
              args,
              () => Reflect.apply(method, target, args) as Promise<unknown>,
            ),
          );
        calls.set(name, call);
        return call;
      },
    });
  }

  #auditedLink(link: Link): Link {
    return (site, effect) =>
      link(site, () => {
        const result = effect();
        if (site === 'book') this.auditor.bookedInLedger();
        return result;
      });
  }

  #schedule(process: SimProcess, periodMs: number, tick: () => Promise<void>) {
    let isOver = false;
    let isUnderWay = false;
    const next = () => {
      if (isOver || !process.isAlive) return;
      if (!isUnderWay && process.isRunning) {
        isUnderWay = true;
        void tick().finally(() => {
          isUnderWay = false;
        });
      }
      this.clock.at(periodMs - (this.clock.monotonic() % periodMs), next);
    };
    this.clock.at(periodMs - (this.clock.monotonic() % periodMs), next);
    return {
      stop() {
        isOver = true;
        return Promise.resolve();
      },
    };
  }

  /** A log that nobody reads, but for what no part of the house expects. */
  #log(name: string): Log {
    const heed = (message: string, fields?: LogFields) => {
      const error = fields?.error;
      if (error === undefined || error instanceof DomainError) return;
      const detail =
        error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(error);
      this.violations.add('BUG', `${name}: ${message}: ${detail}`);
    };
    const log: Log = { debug: heed, info: heed, warn: heed, error: heed, child: () => log };
    return log;
  }

  #newId(): string {
    this.#ids += 1;
    return this.#ids.toString(36).padStart(8, '0');
  }
}
