/**
 * Takes booked batches to the catalogue, outside the placement lock, and undoes in the ledger what
 * the catalogue refuses. The catalogue has the last word: from its "recorded" on, the VM exists.
 *
 * Undoing a booking that took the place of others (a consumed reservation, a move) puts those back:
 * the ledger sees to it, and the lease loop confirms them.
 */
import { DomainError } from '../model/errors.js';
import { factsOf } from '../model/host.js';
import type { LedgerBooking, RecordOutcome, RecordReply, WorkItem } from '../model/ports.js';
import type { Driver } from './driver.js';
import {
  recordItemOf,
  refuseParty,
  rejectParty,
  type Booked,
  type BookedParty,
  type Party,
} from './placing.js';
import type { Ports } from './ports.js';

/** Batches on their way to the catalogue at once; it takes them one by one anyway. */
const DEPTH_MAX = 2;

/** Rebuilds that a request may meet before it is told to come back later. */
const STALE_EPOCHS_MAX = 3;

/** Pause before a batch that met a rebuild is placed anew, so that it does not spin. */
const EPOCH_PAUSE_MS = 20;

export interface RecorderEvents {
  /** The catalogue refused what the ledger had granted. */
  readonly onDisagreement: (reason: string, epoch: number) => void;
  readonly placeAgain: (party: Party) => void;
  /** A batch could not be recorded. */
  readonly onNoAnswer: (error: unknown) => void;
  readonly driver: Driver;
}

type Refusal = Exclude<RecordOutcome['kind'], 'recorded' | 'reserved'>;

type Committed = LedgerBooking & { readonly assignment: number };

export class Recorder {
  readonly #ports: Ports;
  readonly #events: RecorderEvents;
  readonly #underWay = new Set<Promise<void>>();

  constructor(ports: Ports, events: RecorderEvents) {
    this.#ports = ports;
    this.#events = events;
  }

  get busy(): boolean {
    return this.#underWay.size > 0;
  }

  get full(): boolean {
    return this.#underWay.size >= DEPTH_MAX;
  }

  /** Resolves when another batch may be recorded. */
  async slot(): Promise<void> {
    while (this.full) await this.next();
  }

  /** Resolves when one of the batches under way has been recorded. */
  async next(): Promise<void> {
    await Promise.race(this.#underWay);
  }

  async idle(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /**
   * Records a batch and answers each of its requests.
   * @returns resolves when that is done, whatever came of it
   */
  record(epoch: number, seq: number, batch: readonly BookedParty[]): Promise<void> {
    const work: Promise<void> = this.#record(epoch, seq, batch)
      .catch((error: unknown) => {
        // Whether it was recorded is unknown, so nothing is released: the lease loop asks the
        // catalogue when the booking's lease is over.
        for (const { party } of batch) rejectParty(party, error);
        this.#events.onNoAnswer(error);
      })
      .finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
    return work;
  }

  async #record(epoch: number, seq: number, batch: readonly BookedParty[]): Promise<void> {
    const { clock, telemetry } = this.#ports;
    const all = batch.flatMap(({ members }) => members);
    const started = clock.monotonic();
    const reply = await this.#recordAndDrive(epoch, seq, all);
    telemetry.observe('berth_stage_seconds', (clock.monotonic() - started) / 1000, {
      stage: 'record',
    });
    if (reply.kind === 'stale_epoch') {
      telemetry.count('berth_catalogue_refusals_total', { kind: 'stale_epoch' }, all.length);
      this.#undo(all);
      await clock.sleep(EPOCH_PAUSE_MS);
      for (const { party } of batch) this.#afterStaleEpoch(party);
      return;
    }
    this.#ports.checkpoint('create:recorded');
    this.#settle(epoch, batch, reply.outcomes);
  }

  /** The VMs are taken with their record where there is room to drive them at once. */
  async #recordAndDrive(epoch: number, seq: number, all: readonly Booked[]): Promise<RecordReply> {
    const { driver } = this.#events;
    const items = all.map(recordItemOf);
    const taking = driver.promise(items.length);
    if (taking === null) {
      const reply = await this.#ports.catalogue.record(epoch, seq, items);
      driver.poke();
      return reply;
    }
    const taken: WorkItem[] = [];
    try {
      const reply = await this.#ports.catalogue.record(epoch, seq, items, taking);
      if (reply.kind === 'done') taken.push(...reply.outcomes.flatMap(workOf));
      return reply;
    } finally {
      driver.keep(taking, taken);
      if (taken.length < items.length) driver.poke();
    }
  }

  #afterStaleEpoch(party: Party): void {
    party.staleEpochs += 1;
    if (party.staleEpochs <= STALE_EPOCHS_MAX) this.#events.placeAgain(party);
    else rejectParty(party, rebuilding());
  }

  #settle(epoch: number, batch: readonly BookedParty[], outcomes: readonly RecordOutcome[]): void {
    const recorded: Committed[] = [];
    const refused: Booked[] = [];
    let at = 0;
    for (const booked of batch) {
      const own = outcomes.slice(at, at + booked.members.length);
      at += booked.members.length;
      const kept = this.#tellRecorded(booked, own);
      recorded.push(...kept);
      if (kept.length === booked.members.length) continue;
      refused.push(...booked.members.filter((_one, index) => !isKept(own[index])));
      this.#afterRefusal(epoch, booked, own);
    }
    if (refused.length > 0) this.#undo(refused);
    if (recorded.length === 0) return;
    this.#commit(epoch, recorded).catch((error: unknown) => {
      this.#ports.log.debug('commit in the ledger is left to the lease loop', { error });
    });
  }

  /** @returns what the ledger must be told of those that were recorded */
  #tellRecorded({ members }: BookedParty, outcomes: readonly RecordOutcome[]): Committed[] {
    return members.flatMap(({ pending, booking }, index) => {
      const outcome = outcomes[index];
      if (outcome?.kind !== 'recorded' && outcome?.kind !== 'reserved') return [];
      this.#ports.telemetry.count('berth_placements_total', { outcome: 'placed' });
      if (outcome.kind === 'reserved') {
        pending.resolve({ kind: 'reserved', reservation: outcome.reservation });
        return [{ ...booking, assignment: 0 }];
      }
      pending.resolve({ kind: 'placed', vm: outcome.vm });
      return [{ ...booking, assignment: outcome.assignment }];
    });
  }

  async #commit(epoch: number, recorded: readonly Committed[]): Promise<void> {
    const { catalogue, ledger } = this.#ports;
    const missing = await ledger.commit(recorded);
    if (missing.length === 0) return;
    // Most likely deleted since. If the catalogue still has one, the ledger has lost it.
    const ids = missing.map(({ bookingId }) => bookingId);
    if ((await catalogue.recordedBookings(ids)).size > 0) {
      this.#events.onDisagreement('lost_booking', epoch);
    }
  }

  /** A party is refused as a whole: one outcome of its members says why. */
  #afterRefusal(
    epoch: number,
    { party, members }: BookedParty,
    outcomes: readonly RecordOutcome[],
  ): void {
    const culprit = Math.max(
      0,
      outcomes.findIndex((outcome) => !isKept(outcome) && outcome.kind !== 'set'),
    );
    const kind = refusalOf(outcomes[culprit]);
    this.#ports.telemetry.count('berth_catalogue_refusals_total', { kind });
    if (kind === 'over_limit' || kind === 'group') this.#events.onDisagreement(kind, epoch);
    const booked = members[culprit];
    if (kind === 'closed' && booked !== undefined) this.#refresh(booked.booking.hostId);
    if (kind === 'taken' || kind === 'gone') {
      refuseParty(party, culprit, { kind });
      return;
    }
    if (booked !== undefined) booked.pending.avoid.add(booked.booking.hostId);
    this.#events.placeAgain(party);
  }

  #undo(batch: readonly Booked[]): void {
    this.#ports.ledger.release(batch.map(({ booking }) => booking)).catch((error: unknown) => {
      this.#ports.log.debug('undo in the ledger is left to the lease loop', { error });
    });
  }

  /** Shows the ledger the host as the catalogue has it: it missed a change. */
  #refresh(hostId: string): void {
    const { catalogue, ledger, log } = this.#ports;
    catalogue
      .host(hostId)
      .then((host) => (host === null ? undefined : ledger.pushHosts([factsOf(host)])))
      .catch((error: unknown) => {
        log.debug('refresh of a host is left to the health loop', { hostId, error });
      });
  }
}

const isKept = (outcome: RecordOutcome | undefined): boolean =>
  outcome?.kind === 'recorded' || outcome?.kind === 'reserved';

const workOf = (outcome: RecordOutcome): readonly WorkItem[] =>
  outcome.kind === 'recorded' && outcome.work !== undefined ? [outcome.work] : [];

const refusalOf = (outcome: RecordOutcome | undefined): Refusal =>
  outcome === undefined || outcome.kind === 'recorded' || outcome.kind === 'reserved'
    ? 'gone'
    : outcome.kind;

const rebuilding = (): DomainError =>
  new DomainError('ledger_rebuilding', 'The ledger is being rebuilt; try again.', {
    retryAfterS: 1,
  });
