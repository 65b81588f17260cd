/**
 * The waiting room: VMs that no host could take are placed by order of arrival as soon as there is
 * room. One that fits nowhere is passed over and blocks nobody. A lease lets one replica at a time
 * do it, so that there is one order; what it looks at is the catalogue's line and the ledger.
 */
import type { Vm } from '../model/vm.js';
import type { Arrival, WaitingVm } from '../model/stores/waiting.js';
import type { Ranking } from '../placement/strategy.js';
import { Loop } from './loop.js';
import { pickWaiting } from './pick-waiting.js';
import type { Ports } from './ports.js';
import type { Scheduler } from './scheduler.js';
import type { WaitingSettings } from './settings.js';

/** Room that others have made is noticed at the latest by then. */
const TICK_MS = 200;

/** Short, because nobody is placed while a dead replica holds it. */
const LEASE = 'waiting-room';
const LEASE_MS = 800;

/** VMs that are read from the line in one go. */
const PAGE = 1_000;

/** VMs whose wait ends in one statement. */
const EXPIRE_MAX = 500;

/** The line is looked at so often even if nothing seems to have changed. */
const LOOK_ANYWAY_MS = 5_000;

/** Longest rest after a look that was in vain: the fleet may change faster than a long line is read. */
const REST_MS_MAX = 500;

export interface WaitingRoomOptions {
  readonly ports: Ports;
  /** For who comes: not the connections of the loop. */
  readonly asked?: Ports['catalogue'];
  readonly scheduler: Pick<Scheduler, 'submit'>;
  readonly settings: WaitingSettings;
  readonly ranking: Ranking;
  readonly replicaId: string;
  /** Called when VMs have got a host. */
  readonly onPlaced: () => void;
}

export class WaitingRoom {
  readonly #options: WaitingRoomOptions;
  readonly #asked: Ports['catalogue'];
  readonly #loop: Loop;
  /** What line and ledger were like when a look left nothing to do; null: look. */
  #settled: string | null = null;
  #lookedAt = -Infinity;
  #restUntil = -Infinity;
  #holding = false;

  constructor(options: WaitingRoomOptions) {
    this.#options = options;
    this.#asked = options.asked ?? options.ports.catalogue;
    const { clock, log } = options.ports;
    this.#loop = new Loop({
      clock,
      tickMs: TICK_MS,
      look: () => this.runOnce(),
      onFailure: (error) => {
        this.#settled = null;
        log.debug('the waiting room is looked at again later', { error });
      },
    });
  }

  start(): void {
    this.#loop.start();
  }

  /** There may be room, or somebody to place: do not wait for the tick. */
  poke(): void {
    this.#loop.poke();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
    await this.#leave();
  }

  /** Whether VMs wait: then whoever is ready to wait must not get in before them. */
  async isTaken(): Promise<boolean> {
    return (await this.#asked.waitingLine()).count > 0;
  }

  /**
   * Lets a VM wait. It is placed soon if there is room for it after all.
   * @param deadlineS how long at most; as configured when absent
   * @returns the VM that has the id now, with its request's fingerprint
   */
  async enter(
    arrival: Omit<Arrival, 'waitMs'>,
    deadlineS = this.#options.settings.deadlineS,
  ): Promise<{ readonly vm: Vm; readonly requestHash: string }> {
    const known = await this.#asked.enqueueVm({ ...arrival, waitMs: deadlineS * 1_000 });
    this.poke();
    return known;
  }

  /** One look. @returns whether there is more to do at once */
  async runOnce(): Promise<boolean> {
    const { ports, replicaId } = this.#options;
    const { catalogue, ledger, clock, log, telemetry } = ports;
    const line = await catalogue.waitingLine();
    telemetry.observe('berth_waiting_vms', line.count);
    if (line.count === 0) {
      await this.#leave();
      return false;
    }
    if (!(await catalogue.acquireLease(LEASE, replicaId, LEASE_MS))) {
      this.#holding = false;
      this.#settled = null;
      return false;
    }
    this.#holding = true;
    const expired = await catalogue.expireWaiting(EXPIRE_MAX);
    for (const vmId of expired) log.info('vm has waited in vain', { vmId });
    if (expired.length > 0)
      telemetry.count('berth_waited_total', { outcome: 'deadline' }, expired.length);

    // Asked before the fleet is looked at: what changes from here on is seen by the next look.
    const { incarnation, seq } = await ledger.state();
    const present = [incarnation, seq, line.count, line.newest].join(' ');
    const due = clock.monotonic() - this.#lookedAt >= LOOK_ANYWAY_MS;
    if (present === this.#settled && !due) return expired.length === EXPIRE_MAX;
    return clock.monotonic() >= this.#restUntil && (await this.#look(present));
  }

  /** @returns whether somebody was placed, so that the next look may find more */
  async #look(present: string): Promise<boolean> {
    const { clock } = this.#options.ports;
    const begun = clock.monotonic();
    this.#settled = null;
    const outcome = await this.#placeAll();
    this.#lookedAt = clock.monotonic();
    if (outcome === 'placed') return true;
    if (outcome === 'nobody fits') this.#settled = present;
    this.#restUntil = this.#lookedAt + Math.min(this.#lookedAt - begun, REST_MS_MAX);
    return false;
  }

  /** From the front of the line to its end, or until somebody was placed: then from the front again. */
  async #placeAll(): Promise<'placed' | 'nobody fits' | 'unsure'> {
    const { ports, ranking, replicaId } = this.#options;
    let ahead: readonly WaitingVm[] = [];
    let unsure = false;
    for (let after = 0; ;) {
      if (ahead.length === 0) ahead = await ports.catalogue.waitingVms(after, PAGE);
      const { picked, seen } = pickWaiting(await ports.ledger.view(), ahead, ranking);
      if (picked.length > 0) {
        if (await this.#place(picked)) return 'placed';
        // They seemed to fit. Whatever keeps them out does not keep out those behind them.
        unsure = true;
      }
      const last = ahead[seen - 1];
      if (last === undefined) return unsure ? 'unsure' : 'nobody fits';
      after = last.seq;
      ahead = ahead.slice(seen);
      if (!(await ports.catalogue.acquireLease(LEASE, replicaId, LEASE_MS))) return 'unsure';
    }
  }

  /** Hands all of them in at once, so that one batch places them in their order. */
  async #place(picked: readonly WaitingVm[]): Promise<boolean> {
    const { ports, scheduler, onPlaced } = this.#options;
    const results = await Promise.allSettled(
      picked.map(({ spec, strategy }) =>
        scheduler.submit({ kind: 'again', spec, strategy, requestHash: '', avoid: [], by: null }),
      ),
    );
    let placed = 0;
    results.forEach((result, index) => {
      const vmId = picked[index]?.spec.id;
      if (result.status === 'rejected') {
        ports.log.debug('a waiting VM is tried again', { vmId, error: result.reason as unknown });
      } else if (result.value.kind === 'placed') {
        placed += 1;
        ports.log.info('waiting vm placed', { vmId, hostId: result.value.vm.host?.id });
      }
    });
    if (placed > 0) {
      ports.telemetry.count('berth_waited_total', { outcome: 'placed' }, placed);
      onPlaced();
    }
    return placed > 0;
  }

  async #leave(): Promise<void> {
    this.#settled = null;
    if (!this.#holding) return;
    this.#holding = false;
    const { ports, replicaId } = this.#options;
    await ports.catalogue.releaseLease(LEASE, replicaId).catch((error: unknown) => {
      ports.log.debug('the lease of the waiting room runs out by itself', { error });
    });
  }
}
