/** The world of a history: the doubles, the replicas that run on them, and who watches. */
import type { Caller } from '../control/caller.js';
import type { JoinHostInput } from '../control/control.js';
import { createControlPlane, type ControlPlane } from '../control/control-plane.js';
import type { Ports } from '../control/ports.js';
import { verifyVerbs } from '../control/repair-books.js';
import type { ControlSettings } from '../control/settings.js';
import { DomainError } from '../model/errors.js';
import { watchRules } from '../model/fleet-breaker.js';
import type { Catalogue, Log, LogFields } from '../model/ports.js';
import type { VerifyStore } from '../model/stores/verify.js';
import { flappingRule } from '../model/stores/fleet-watch.js';
import { cosine } from '../placement/cosine.js';
import { weightsOf } from '../placement/strategy.js';
import type { Prng } from '../std/prng.js';
import { SimFleet, SimHost, type HostSpec } from './agents-double.js';
import { AUTOMATION, aroundAutomation } from './automation-audit.js';
import { AUDITED, Auditor, CREDENTIAL } from './auditor.js';
import { catalogueDouble, type CatalogueDouble } from './catalogue/catalogue.js';
import type { Tables } from './catalogue/tables.js';
import { NO_CUTS, type Cuts } from './cuts.js';
import { Faults, LIMIT_MS, type CallPlan } from './faults.js';
import { LedgerBooks } from './ledger-books.js';
import { createLedgerDouble } from './ledger-double.js';
import { inspectionOf } from './ledger-inspection.js';
import { watchedBooks } from './ledger-watch.js';
import type { Link } from './link.js';
import { SimProcess, type Replica } from './replica.js';
import { Trace } from './trace.js';
import { VirtualClock } from './virtual-clock.js';
import { Violations } from './violations.js';

/** Puts something between a control plane and its ports. */
export type PortSabotage = (ports: Ports) => Partial<Ports>;

/** Parts of a world that are not as they should be, to see whether it is found. */
export interface BrokenParts {
  readonly ports?: PortSabotage;
  books?(clock: VirtualClock): LedgerBooks;
  catalogue?(double: CatalogueDouble): Catalogue;
  control?(control: ControlPlane, ports: Ports): ControlPlane;
  /** Called when the world starts: what else is to happen in it. */
  begin?(world: World): void;
  host?(...made: ConstructorParameters<typeof SimHost>): SimHost;
}

export type Sabotage = PortSabotage | BrokenParts;

/** A world that is built as a case needs it and not drawn: no clock is off, no machine fails. */
export interface Scene {
  readonly replicas: number;
  readonly hosts: readonly HostSpec[];
  readonly plan: CallPlan;
  /** A dead process is started anew after this time. */
  readonly restartMs: number;
}

const REPLICAS = 3;

/** All may be booked once. */
const POLICY = { overcommit: {}, reserve: {} };

/** A dead process is started anew after this time, at most. */
export const RESTART_MS_MAX = 3_000;

export const HEALTH_PERIOD_S = 2;

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
  health: {
    periodS: HEALTH_PERIOD_S,
    concurrencyMax: 16,
    onMissing: 'mark',
    breaker: watchRules(HEALTH_PERIOD_S, LIMIT_MS.agents, { share: 0.3, hostsMin: 3 }),
    flapping: flappingRule({ changesMax: 3, windowS: 3_600, cordonS: 5 }),
  },
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
  readonly catalogue: Catalogue & VerifyStore;
  /** What the catalogue holds; written only to damage it. */
  readonly tables: Tables;
  readonly auditor: Auditor;
  readonly caller: Caller;
  readonly #prng: Prng;
  readonly #broken: BrokenParts;
  /** As the replicas meet it; the auditor reads the catalogue itself. */
  readonly #served: Catalogue;
  readonly #scene: Scene | null;
  readonly #hostsMax: number | null;
  readonly #replicas: Replica[] = [];
  #ids = 0;
  #processes = 0;
  #isOver = false;

  /** @param scene drawn when null */
  constructor(
    prng: Prng,
    sabotage: Sabotage = {},
    scene: Scene | null = null,
    cuts: Cuts = NO_CUTS,
  ) {
    this.#prng = prng;
    this.#broken = typeof sabotage === 'function' ? { ports: sabotage } : sabotage;
    this.#scene = scene;
    this.#hostsMax = cuts.hostsMax;
    this.violations = new Violations(this.trace, () => this.clock.monotonic());
    this.faults = new Faults(prng.fork('faults'), cuts.faults);
    const double = catalogueDouble({ clock: this.clock, newId: () => this.#newId() });
    this.catalogue = double.catalogue;
    this.tables = double.tables;
    this.#served = this.#broken.catalogue?.(double) ?? double.catalogue;
    this.books = watchedBooks(
      this.#broken.books?.(this.clock) ?? new LedgerBooks(() => this.clock.now()),
      {
        violations: this.violations,
        epoch: () => double.tables.agreement.epoch,
        recorded: () => double.tables.allocations.rows(),
      },
    );
    this.auditor = new Auditor(this);
    const actor = { kind: 'token', id: 'sim', name: 'sim', requestId: null } as const;
    this.caller = { actor, log: this.#log('client') };
    for (const spec of scene?.hosts ?? this.#drawHosts()) this.addHost(spec);
  }

  get replicas(): readonly Replica[] {
    return this.#replicas;
  }

  note(what: string): void {
    this.trace.note(this.clock.monotonic(), what);
  }

  /** Starts the replicas and has every host join. */
  async start(): Promise<void> {
    await this.boot();
    const control = this.#replicas[0]?.control;
    for (const host of this.fleet.hosts.values()) {
      void control?.joinHost(this.joinOf(host), this.caller);
    }
    this.#broken.begin?.(this);
  }

  /** Starts the replicas. */
  async boot(): Promise<void> {
    const replicas = this.#scene?.replicas ?? REPLICAS;
    for (let slot = 0; slot < replicas; slot += 1) this.#boot(slot);
    await this.clock.runUntil(100);
  }

  /** A machine with an agent, which has not joined yet. */
  addHost(spec: HostSpec): SimHost {
    const made = [spec, this.clock, POLICY, this.auditor] as const;
    const host = this.#broken.host?.(...made) ?? new SimHost(...made);
    this.fleet.add(host);
    return host;
  }

  /** What the agent of a host says when it joins. */
  joinOf({ spec: { id }, totals, bootId }: SimHost): JoinHostInput {
    return {
      id,
      name: id,
      address: `http://${id}.sim`,
      credential: CREDENTIAL,
      zone: Number(id.slice(-1)) % 2 === 0 ? 'north' : 'south',
      labels: {},
      totals,
      version: 'sim',
      bootId,
      ticket: { by: 'admin' },
    };
  }

  /** Nothing goes on: what is under way never ends. */
  stop(): void {
    this.#isOver = true;
    for (const { process } of this.#replicas) process.kill();
  }

  #drawHosts(): readonly HostSpec[] {
    const prng = this.#prng.fork('fleet');
    const count = prng.chance(0.75) ? prng.between(5, 7) : prng.between(8, 20);
    const failShare = prng.chance(0.3) ? prng.next() * 0.3 : 0;
    const refuseShare = prng.chance(0.3) ? prng.next() * 0.3 : 0;
    const bootMs = prng.pick([5, 100, 1_000]);
    const size = prng.pick([4, 8, 16]);
    const length = Math.min(count, this.#hostsMax ?? count);
    return Array.from({ length }, (_, index) => {
      const at = (index + 1).toString();
      const cpu = size + prng.between(0, 4);
      const failing = prng.fork(`host ${at}`);
      return {
        id: `host-${at}`,
        totals: { cpu, memory: cpu * 1_024, disk: 100_000 },
        bootMs,
        stopMs: bootMs / 2,
        failsCreate: () => failing.chance(failShare),
        refusesClaim: () => failing.chance(refuseShare),
      };
    });
  }

  #boot(slot: number): void {
    this.#processes += 1;
    const name = `r${slot.toString()}.${this.#processes.toString()}`;
    const prng = this.#prng.fork(name);
    const isOff = this.#scene === null && prng.chance(0.2);
    const skewMs = isOff ? prng.between(-SKEW_MS_MAX, SKEW_MS_MAX) : 0;
    const { clock, trace } = this;
    const faults = this.#scene?.plan ?? this.faults.of(name);
    const process = new SimProcess(name, { clock, trace, faults }, skewMs);
    process.watch(() => {
      if (this.#isOver) return;
      this.clock.at(this.#scene?.restartMs ?? prng.next() * RESTART_MS_MAX, () => {
        if (!this.#isOver) this.#boot(slot);
      });
    });
    const found = this.#portsOf(process, prng);
    const ports = { ...found, ...this.#broken.ports?.(found) };
    const sound = createControlPlane(ports, { ...SETTINGS, replicaId: name });
    const control = this.#broken.control?.(sound, ports) ?? sound;
    const catalogue = this.#reached(this.catalogue, process.link('catalogue'));
    const ledger = inspectionOf(this.books, process.link('ledger'), process.clock);
    const books = verifyVerbs(
      { ...found, catalogue, ledger: { ...ledger, release: (all) => found.ledger.release(all) } },
      control,
      SETTINGS.bookingLeaseMs,
    );
    this.#replicas[slot] = { process, control, ports, books };
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
      catalogue: this.#reached(this.#served, process.link('catalogue')),
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
  #reached<Part extends Catalogue>(part: Part, link: Link): Part {
    const { auditor } = this;
    const audited = { tables: this.tables, violations: this.violations };
    const calls = new Map<string | symbol, unknown>();
    return new Proxy(part, {
      get(target, name, receiver) {
        const method: unknown = Reflect.get(target, name, receiver);
        if (typeof method !== 'function' || typeof name === 'symbol') return method;
        const known = calls.get(name);
        if (known !== undefined) return known;
        const does = (args: readonly unknown[]) =>
          Reflect.apply(method, target, args) as Promise<unknown>;
        const within = AUTOMATION.has(name)
          ? (args: readonly unknown[]) => aroundAutomation(audited, name, () => does(args))
          : does;
        const judged = AUDITED.has(name)
          ? (args: readonly unknown[]) => auditor.around(name, args, () => within(args))
          : within;
        const call = (...args: readonly unknown[]) => link(name, () => judged(args));
        calls.set(name, call);
        return call;
      },
    });
  }

  #auditedLink(link: Link): Link {
    return (site, effect) =>
      link(site, () => (site === 'book' ? this.auditor.aroundBooking(effect) : effect()));
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
      if (error instanceof DomainError) this.auditor.heard(error.message);
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
