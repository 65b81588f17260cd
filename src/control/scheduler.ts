/**
 * The critical section: requests that wait are gathered into one batch, placed on the mirror under
 * the placement lock, booked in the ledger by one script, and, after that, recorded in the
 * catalogue by one statement. Calls no agent.
 *
 * A batch takes what waits while the last one is under way (group commit), so nobody lingers when
 * the house is quiet. The next batch may be placed while the last one is being recorded: its
 * bookings already stand in mirror and ledger, so a refusal by the catalogue only gives room back.
 */
import { DomainError } from '../model/errors.js';
import type { PlacementTurn } from '../model/ports.js';
import { choose } from '../placement/choose.js';
import type { HostTable } from '../placement/host-table.js';
import type { Booked, Pending, PlaceRequest, PlaceResult } from './placing.js';
import type { Ports } from './ports.js';
import { Recorder } from './recorder.js';
import type { SchedulerSettings } from './settings.js';

/** Rounds of choosing and booking in one batch, when others have changed the ledger meanwhile. */
const ROUNDS_MAX = 5;

export class Scheduler {
  readonly #ports: Ports;
  readonly #settings: SchedulerSettings;
  readonly #recorder: Recorder;
  readonly #queue: Pending[] = [];
  #running: Promise<void> | null = null;
  #stopping = false;

  /** @param onDisagreement called when the catalogue refuses what the ledger granted */
  constructor(
    ports: Ports,
    settings: SchedulerSettings,
    onDisagreement: (reason: string, epoch: number) => void,
  ) {
    this.#ports = ports;
    this.#settings = settings;
    this.#recorder = new Recorder(ports, onDisagreement, (pending) => {
      this.#enqueue(pending);
    });
  }

  /**
   * @throws DomainError `overloaded`, `ledger_rebuilding`, `ledger_unavailable`,
   *   `catalogue_unavailable`, `shutting_down`
   */
  submit(request: PlaceRequest): Promise<PlaceResult> {
    if (this.#stopping) {
      return Promise.reject(
        new DomainError('shutting_down', 'This replica is stopping; ask another.', {
          retryAfterS: 1,
        }),
      );
    }
    if (this.#queue.length >= this.#settings.queueMax) {
      return Promise.reject(
        new DomainError('overloaded', 'Too many requests wait for a place; try again soon.', {
          retryAfterS: 1,
        }),
      );
    }
    return new Promise((resolve, reject) => {
      this.#enqueue({
        request,
        avoid: new Set(request.avoid),
        staleEpochs: 0,
        deadline: this.#ports.clock.monotonic() + this.#settings.deadlineMs,
        resolve,
        reject,
      });
    });
  }

  /** Takes no more requests and resolves when those that wait have been answered. */
  async stop(): Promise<void> {
    this.#stopping = true;
    while (this.#running !== null || this.#recorder.busy) {
      await this.#running;
      await this.#recorder.idle();
    }
  }

  #enqueue(pending: Pending): void {
    this.#queue.push(pending);
    this.#kick();
  }

  #kick(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
      // A request may have come after the loop had looked for the last time.
      if (this.#queue.length > 0) this.#kick();
    });
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      await this.#recorder.slot();
      this.#dropExpired();
      if (this.#queue.length === 0) return;
      try {
        await this.#turn();
      } catch (error) {
        // No turn means no decision for anybody who waits now.
        for (const pending of this.#queue.splice(0)) pending.reject(error);
      }
    }
  }

  async #turn(): Promise<void> {
    const { clock, ledger, telemetry } = this.#ports;
    const opened = clock.monotonic();
    const turn = await ledger.openTurn();
    telemetry.observe('berth_stage_seconds', (clock.monotonic() - opened) / 1000, {
      stage: 'lock',
    });
    try {
      const until = clock.monotonic() + this.#settings.holdMs;
      do {
        await this.#batch(turn);
      } while (this.#queue.length > 0 && !this.#recorder.full && clock.monotonic() < until);
    } finally {
      await turn.end();
    }
  }

  async #batch(turn: PlacementTurn<HostTable>): Promise<void> {
    const { clock, telemetry } = this.#ports;
    const batch = this.#queue.splice(0, this.#settings.batchMax);
    telemetry.observe('berth_placement_batch_size', batch.length);
    let open: Pending[] = batch;
    try {
      for (let round = 0; open.length > 0 && round < ROUNDS_MAX; round += 1) {
        await turn.catchUp();
        const proposals = this.#place(turn.fleet, open);
        open = proposals.map(({ pending }) => pending);
        if (proposals.length === 0) break;
        const started = clock.monotonic();
        const answer = await this.#book(turn, proposals);
        telemetry.observe('berth_stage_seconds', (clock.monotonic() - started) / 1000, {
          stage: 'book',
        });
        // Under the epoch it was booked in: the next round may meet another ledger.
        if (answer.booked.length > 0) {
          this.#ports.checkpoint('create:booked');
          this.#recorder.record(turn.epoch, answer.seq, answer.booked);
        }
        open = answer.again;
      }
      const contended = new DomainError(
        'ledger_unavailable',
        'The fleet changes faster than a place can be booked; try again.',
        { retryAfterS: 1 },
      );
      for (const pending of open) pending.reject(contended);
    } catch (error) {
      for (const pending of open) pending.reject(error);
    }
  }

  /** Chooses a host for each request and books it in the mirror, so that the next one sees it. */
  #place(fleet: HostTable, open: readonly Pending[]): Booked[] {
    const { clock, telemetry } = this.#ports;
    const started = clock.monotonic();
    const proposals: Booked[] = [];
    for (const pending of open) {
      const { spec } = pending.request;
      const exclude = [...(spec.constraints.exclude ?? []), ...pending.avoid];
      const decision = choose(
        fleet,
        {
          resources: spec.resources,
          constraints: exclude.length === 0 ? spec.constraints : { ...spec.constraints, exclude },
        },
        this.#settings.ranking,
      );
      if (decision.kind === 'nowhere') {
        telemetry.count('berth_placements_total', { outcome: 'nowhere' });
        pending.resolve(decision);
        continue;
      }
      const host = fleet.factsAt(decision.row);
      fleet.book(decision.row, spec.resources);
      proposals.push({
        pending,
        booking: {
          bookingId: this.#ports.newId(),
          vmId: spec.id,
          hostId: host.id,
          path: spec.path,
          resources: spec.resources,
        },
        attempt: {
          host: { id: host.id, name: host.name },
          at: new Date(clock.now()),
          outcome: 'placed',
          detail: `${this.#settings.ranking.strategy.name} ${decision.score.toFixed(4)}, best of ${decision.feasible.toString()}`,
        },
      });
    }
    telemetry.observe('berth_stage_seconds', (clock.monotonic() - started) / 1000, {
      stage: 'place',
    });
    return proposals;
  }

  async #book(
    turn: PlacementTurn<HostTable>,
    proposals: readonly Booked[],
  ): Promise<{ booked: Booked[]; again: Pending[]; seq: number }> {
    const { ledger, log, telemetry } = this.#ports;
    const bookings = proposals.map(({ booking }) => booking);
    let reply;
    try {
      reply = await turn.book(bookings);
    } catch (error) {
      // They may stand or not. Nothing was recorded, so giving them back is right in both cases;
      // if that fails too, the lease loop does it.
      ledger.release(bookings).catch((cause: unknown) => {
        log.debug('release after a failed booking is left to the lease loop', { error: cause });
      });
      throw error;
    }
    const booked: Booked[] = [];
    const again: Pending[] = [];
    proposals.forEach((proposal, index) => {
      const outcome = reply.outcomes[index];
      if (outcome?.kind === 'booked') booked.push(proposal);
      else if (outcome?.kind === 'taken') proposal.pending.resolve({ kind: 'taken' });
      else {
        telemetry.count('berth_ledger_refusals_total', { kind: outcome?.kind ?? 'none' });
        again.push(proposal.pending);
      }
    });
    return { booked, again, seq: reply.seq };
  }

  #dropExpired(): void {
    const now = this.#ports.clock.monotonic();
    const expired = this.#queue.filter(({ deadline }) => deadline <= now);
    if (expired.length === 0) return;
    const alive = this.#queue.filter(({ deadline }) => deadline > now);
    this.#queue.splice(0, this.#queue.length, ...alive);
    const error = new DomainError('overloaded', 'No place could be decided in time; try again.', {
      retryAfterS: 1,
    });
    for (const pending of expired) pending.reject(error);
  }
}
