/**
 * Takes booked batches to the catalogue, outside the placement lock, and undoes in the ledger what
 * the catalogue refuses. The catalogue has the last word: from its "recorded" on, the VM exists.
 */
import { DomainError } from '../model/errors.js';
import { factsOf } from '../model/host.js';
import type { LedgerBooking, RecordOutcome } from '../model/ports.js';
import { recordItemOf, type Booked, type Pending } from './placing.js';
import type { Ports } from './ports.js';

/** Batches on their way to the catalogue at once; it takes them one by one anyway. */
const DEPTH_MAX = 2;

/** Rebuilds that a request may meet before it is told to come back later. */
const STALE_EPOCHS_MAX = 3;

/** Pause before a batch that met a rebuild is placed anew, so that it does not spin. */
const EPOCH_PAUSE_MS = 20;

export class Recorder {
  readonly #ports: Ports;
  readonly #onDisagreement: (reason: string, epoch: number) => void;
  readonly #placeAgain: (pending: Pending) => void;
  readonly #underWay = new Set<Promise<void>>();

  constructor(
    ports: Ports,
    onDisagreement: (reason: string, epoch: number) => void,
    placeAgain: (pending: Pending) => void,
  ) {
    this.#ports = ports;
    this.#onDisagreement = onDisagreement;
    this.#placeAgain = placeAgain;
  }

  get busy(): boolean {
    return this.#underWay.size > 0;
  }

  get full(): boolean {
    return this.#underWay.size >= DEPTH_MAX;
  }

  /** Resolves when another batch may be recorded. */
  async slot(): Promise<void> {
    while (this.full) await Promise.race(this.#underWay);
  }

  async idle(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /** Records a batch in the background and answers each of its requests. */
  record(epoch: number, seq: number, batch: readonly Booked[]): void {
    const work: Promise<void> = this.#record(epoch, seq, batch)
      .catch((error: unknown) => {
        // Whether it was recorded is unknown, so nothing is released: the lease loop asks the
        // catalogue when the booking's lease is over.
        for (const { pending } of batch) pending.reject(error);
      })
      .finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
  }

  async #record(epoch: number, seq: number, batch: readonly Booked[]): Promise<void> {
    const { catalogue, clock, telemetry } = this.#ports;
    const started = clock.monotonic();
    const reply = await catalogue.record(epoch, seq, batch.map(recordItemOf));
    telemetry.observe('berth_stage_seconds', (clock.monotonic() - started) / 1000, {
      stage: 'record',
    });
    if (reply.kind === 'stale_epoch') {
      telemetry.count('berth_catalogue_refusals_total', { kind: 'stale_epoch' }, batch.length);
      this.#undo(batch);
      await clock.sleep(EPOCH_PAUSE_MS);
      for (const { pending } of batch) this.#afterStaleEpoch(pending);
      return;
    }
    this.#ports.checkpoint('create:recorded');
    this.#settle(epoch, batch, reply.outcomes);
  }

  #afterStaleEpoch(pending: Pending): void {
    pending.staleEpochs += 1;
    if (pending.staleEpochs <= STALE_EPOCHS_MAX) this.#placeAgain(pending);
    else {
      pending.reject(
        new DomainError('ledger_rebuilding', 'The ledger is being rebuilt; try again.', {
          retryAfterS: 1,
        }),
      );
    }
  }

  #settle(epoch: number, batch: readonly Booked[], outcomes: readonly RecordOutcome[]): void {
    const { telemetry } = this.#ports;
    const recorded: (LedgerBooking & { readonly assignment: number })[] = [];
    const refused: Booked[] = [];
    batch.forEach((booked, index) => {
      const outcome = outcomes[index];
      if (outcome?.kind === 'recorded') {
        recorded.push({ ...booked.booking, assignment: outcome.assignment });
        telemetry.count('berth_placements_total', { outcome: 'placed' });
        booked.pending.resolve({ kind: 'placed', vm: outcome.vm });
        return;
      }
      refused.push(booked);
      telemetry.count('berth_catalogue_refusals_total', { kind: outcome?.kind ?? 'none' });
      this.#afterRefusal(epoch, booked, outcome?.kind ?? 'gone');
    });
    if (refused.length > 0) this.#undo(refused);
    if (recorded.length === 0) return;
    this.#commit(epoch, recorded).catch((error: unknown) => {
      this.#ports.log.debug('commit in the ledger is left to the lease loop', { error });
    });
  }

  async #commit(
    epoch: number,
    recorded: readonly (LedgerBooking & { readonly assignment: number })[],
  ): Promise<void> {
    const { catalogue, ledger } = this.#ports;
    const missing = await ledger.commit(recorded);
    if (missing.length === 0) return;
    // Most likely deleted since. If the catalogue still has one, the ledger has lost it.
    const ids = missing.map(({ bookingId }) => bookingId);
    if ((await catalogue.recordedBookings(ids)).size > 0) {
      this.#onDisagreement('lost_booking', epoch);
    }
  }

  #afterRefusal(
    epoch: number,
    { pending, booking }: Booked,
    kind: Exclude<RecordOutcome['kind'], 'recorded'>,
  ): void {
    switch (kind) {
      case 'taken':
      case 'gone':
        pending.resolve({ kind });
        return;
      case 'over_limit':
        this.#onDisagreement('over_limit', epoch);
        break;
      case 'closed':
        this.#refresh(booking.hostId);
        break;
    }
    pending.avoid.add(booking.hostId);
    this.#placeAgain(pending);
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
