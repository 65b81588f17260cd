/**
 * The critical section: requests that wait are gathered into one batch, placed on the mirror under
 * the placement lock, booked in the ledger by one script, and, after that, recorded in the
 * catalogue by one statement. Calls no agent.
 *
 * A batch takes what waits while the last one is under way (group commit), so nobody lingers when
 * the house is quiet. The next batch may be placed while the last one is being recorded: its
 * bookings already stand in mirror and ledger, so a refusal by the catalogue only gives room back.
 * Callers that ask again as soon as they are answered would all come to wait for one and the same
 * record; so when none is under way, and no other replica wants the lock, half of many are taken, and the
 * halves go on in turns: one is placed and booked while the other is recorded.
 *
 * What is placed, booked, recorded or refused as one is a party: a set, or a single request.
 */
import { DomainError, hasCode, invariant } from '../model/errors.js';
import type { BookOutcome, PlacementTurn } from '../model/ports.js';
import type { HostTable } from '../placement/host-table.js';
import { WakeUp } from '../std/wake-up.js';
import { NO_DRIVER, type Driver } from './driver.js';
import { PartyQueue } from './party-queue.js';
import { placeParty, type PartyProposal } from './place-party.js';
import {
  refuseParty,
  rejectParty,
  type Answer,
  type BookedParty,
  type Party,
  type PlaceRequest,
  type PlaceResult,
  type RefusedWithSet,
  type Reserved,
} from './placing.js';
import type { Ports } from './ports.js';
import { Recorder } from './recorder.js';
import type { SchedulerSettings } from './settings.js';

/** Rounds of choosing and booking in one batch, when others have changed the ledger meanwhile. */
const ROUNDS_MAX = 5;

/** Fewer are recorded in one go: two records would cost more than the wait for one. */
const HALVED_MIN = 24;

export class Scheduler {
  readonly #ports: Ports;
  readonly #settings: SchedulerSettings;
  readonly #recorder: Recorder;
  readonly #queue = new PartyQueue();
  #running: Promise<void> | null = null;
  #stopping = false;
  /** Poked when a party comes and when a batch has been recorded. */
  readonly #news: WakeUp;

  /**
   * @param onDisagreement called when the catalogue refuses what the ledger granted
   * @param driver is handed what was recorded
   */
  constructor(
    ports: Ports,
    settings: SchedulerSettings,
    onDisagreement: (reason: string, epoch: number) => void,
    driver: Driver = NO_DRIVER,
  ) {
    this.#ports = ports;
    this.#settings = settings;
    this.#news = new WakeUp(ports.clock);
    this.#recorder = new Recorder(ports, {
      onDisagreement,
      placeAgain: (party) => {
        this.#enqueue(party);
      },
      onNoAnswer: (error) => {
        this.#refuseAll(error);
      },
      driver,
    });
  }

  /**
   * Places a VM that stands alone.
   * @throws DomainError `overloaded`, `ledger_rebuilding`, `ledger_unavailable`,
   *   `catalogue_unavailable`, `shutting_down`
   */
  async submit(request: PlaceRequest): Promise<PlaceResult> {
    const [answer] = await this.#submit([request], null);
    invariant(answer !== undefined, 'every request is answered');
    invariant(answer.kind !== 'reserved' && answer.kind !== 'set', 'one VM was to be placed');
    return answer;
  }

  /**
   * Places all of them or none. When one is refused, it gets the reason and the others get `set`.
   * @throws DomainError as `submit` does; then none was placed, or nobody knows yet
   */
  async submitSet(
    requests: readonly PlaceRequest[],
  ): Promise<readonly (PlaceResult | RefusedWithSet)[]> {
    const answers = await this.#submit(requests, requests.length > 1 ? this.#ports.newId() : null);
    return answers.map((answer) => {
      invariant(answer.kind !== 'reserved', 'VMs were to be placed');
      return answer;
    });
  }

  /** Books room for a request of kind `reserve`. @throws DomainError as `submit` does */
  async submitReservation(
    request: PlaceRequest,
  ): Promise<Reserved | Exclude<PlaceResult, { kind: 'placed' }>> {
    const [answer] = await this.#submit([request], null);
    invariant(answer !== undefined, 'every request is answered');
    invariant(answer.kind !== 'placed' && answer.kind !== 'set', 'room was to be reserved');
    return answer;
  }

  /** Whether somebody waits for a place, or for its record. */
  get busy(): boolean {
    return this.#running !== null || this.#recorder.busy;
  }

  /** Takes no more requests and resolves when those that wait have been answered. */
  async stop(): Promise<void> {
    this.#stopping = true;
    while (this.busy) {
      await this.#running;
      await this.#recorder.idle();
    }
  }

  async #submit(requests: readonly PlaceRequest[], set: string | null): Promise<readonly Answer[]> {
    if (this.#stopping) {
      throw new DomainError('shutting_down', 'This replica is stopping; ask another.', {
        retryAfterS: 1,
      });
    }
    if (this.#queue.size >= this.#settings.queueMax) {
      throw new DomainError('overloaded', 'Too many requests wait for a place; try again soon.', {
        retryAfterS: 1,
      });
    }
    const deadline = this.#ports.clock.monotonic() + this.#settings.deadlineMs;
    const answers: Promise<Answer>[] = [];
    const members = requests.map((request) => {
      const { promise, resolve, reject } = promised();
      answers.push(promise);
      return { request, avoid: new Set(request.avoid), resolve, reject };
    });
    if (members.length > 0) this.#enqueue({ set, members, deadline, staleEpochs: 0 });
    return Promise.all(answers);
  }

  #enqueue(party: Party): void {
    this.#queue.push(party);
    this.#news.poke();
    this.#kick();
  }

  #kick(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
      // A request may have come after the loop had looked for the last time.
      if (this.#queue.size > 0) this.#kick();
    });
  }

  async #run(): Promise<void> {
    while (this.#queue.size > 0) {
      await this.#recorder.slot();
      this.#dropStale();
      if (this.#queue.size === 0) return;
      try {
        await this.#turn();
      } catch (error) {
        // No turn means no decision for anybody who waits now.
        this.#refuseAll(error);
      }
    }
  }

  /** What keeps one from being decided keeps out all who wait: better told now than in a while. */
  #refuseAll(error: unknown): void {
    for (const party of this.#queue.takeAll()) rejectParty(party, error);
  }

  async #turn(): Promise<void> {
    const { clock, ledger, telemetry } = this.#ports;
    const opened = clock.monotonic();
    const turn = await ledger.openTurn();
    telemetry.observe('berth_stage_seconds', (clock.monotonic() - opened) / 1000, {
      stage: 'lock',
    });
    let silence: unknown;
    try {
      const until = clock.monotonic() + this.#settings.holdMs;
      let isFresh = true;
      do {
        // The wait for the lock may have been long.
        this.#dropStale();
        silence = await this.#batch(turn, isFresh);
        isFresh = false;
      } while (silence === null && (await this.#goesOn(turn, until)));
    } finally {
      await turn.end();
    }
    // Who came while the lock was given back has waited for the same silence.
    if (silence !== null) this.#refuseAll(silence);
  }

  /**
   * Whether the turn has another batch. While one is being recorded, those who asked for the one
   * before it are about to come back: the lock is kept for them, unless another replica wants it.
   */
  async #goesOn(turn: PlacementTurn<HostTable>, until: number): Promise<boolean> {
    for (;;) {
      const leftMs = until - this.#ports.clock.monotonic();
      if (leftMs <= 0) return false;
      if (this.#queue.size > 0 && !this.#recorder.full) return true;
      if (turn.isWanted || !this.#recorder.busy) return false;
      await this.#news.sleep(leftMs);
    }
  }

  /**
   * @param isFresh the turn has just begun: its fleet is as the ledger was a moment ago
   * @returns why the ledger cannot be asked, after all who wait were told so; null: it can
   */
  async #batch(turn: PlacementTurn<HostTable>, isFresh: boolean): Promise<unknown> {
    const { clock, telemetry } = this.#ports;
    let open: readonly Party[] = [];
    try {
      // Before anybody is taken: more come meanwhile.
      if (!isFresh) await turn.catchUp();
      open = this.#queue.take(this.#sizeOfNext(turn.isWanted));
      if (open.length === 0) return null;
      telemetry.observe('berth_placement_batch_size', sizeOf(open));
      for (let round = 0; open.length > 0 && round < ROUNDS_MAX; round += 1) {
        if (round > 0) await turn.catchUp();
        const proposals = this.#place(turn.fleet, open);
        open = proposals.map(({ party }) => party);
        if (proposals.length === 0) break;
        const started = clock.monotonic();
        const answered = await this.#book(turn, proposals);
        telemetry.observe('berth_stage_seconds', (clock.monotonic() - started) / 1000, {
          stage: 'book',
        });
        // Under the epoch it was booked in: the next round may meet another ledger.
        if (answered.booked.length > 0) {
          this.#ports.checkpoint('create:booked');
          void this.#recorder.record(turn.epoch, answered.seq, answered.booked).then(() => {
            this.#news.poke();
          });
        }
        open = answered.again;
      }
      for (const party of open) rejectParty(party, contended());
      return null;
    } catch (error) {
      for (const party of open) rejectParty(party, error);
      if (!hasCode(error, 'ledger_unavailable')) return null;
      this.#refuseAll(error);
      return error;
    }
  }

  /**
   * Requests that the next batch takes.
   * @param lockIsWanted by another replica, which then places while this one records
   */
  #sizeOfNext(lockIsWanted: boolean): number {
    const { size } = this.#queue;
    const isHalved = size >= HALVED_MIN && !this.#recorder.busy && !lockIsWanted;
    const share = isHalved ? Math.ceil(size / 2) : size;
    return Math.min(share, this.#settings.batchMax);
  }

  /** Chooses hosts and books them in the mirror, so that the next one sees it. */
  #place(fleet: HostTable, open: readonly Party[]): BookedParty[] {
    const { clock, telemetry } = this.#ports;
    const started = clock.monotonic();
    const proposals: BookedParty[] = [];
    for (const party of open) {
      const proposal = this.#tryToPlace(fleet, party);
      if (proposal === null) continue;
      if (proposal.kind === 'placed') proposals.push({ party, members: proposal.members });
      else {
        telemetry.count('berth_placements_total', { outcome: 'nowhere' }, party.members.length);
        refuseParty(party, proposal.culprit, { kind: 'nowhere', summary: proposal.summary });
      }
    }
    telemetry.observe('berth_stage_seconds', (clock.monotonic() - started) / 1000, {
      stage: 'place',
    });
    return proposals;
  }

  /** One that cannot even be looked at must not keep the others of its batch from a place. */
  #tryToPlace(fleet: HostTable, party: Party): PartyProposal | null {
    const { clock, log, telemetry } = this.#ports;
    try {
      return placeParty(fleet, party, {
        ranking: this.#settings.ranking,
        at: new Date(clock.now()),
        newId: () => this.#ports.newId(),
      });
    } catch (error) {
      const vmIds = party.members.map(({ request }) => request.spec.id);
      log.error('a request that cannot be placed is set aside', { vmIds, error });
      telemetry.count('berth_set_aside_total', { kind: 'request' });
      rejectParty(party, error);
      return null;
    }
  }

  async #book(
    turn: PlacementTurn<HostTable>,
    proposals: readonly BookedParty[],
  ): Promise<{ booked: BookedParty[]; again: Party[]; seq: number }> {
    const { ledger, log } = this.#ports;
    const bookings = proposals.flatMap(({ members }) => members.map(({ booking }) => booking));
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
    const booked: BookedParty[] = [];
    const again: Party[] = [];
    let at = 0;
    for (const proposal of proposals) {
      const outcomes = reply.outcomes.slice(at, at + proposal.members.length);
      at += proposal.members.length;
      if (outcomes.every(({ kind }) => kind === 'booked')) booked.push(proposal);
      else if (!this.#refuseForGood(proposal.party, outcomes)) again.push(proposal.party);
    }
    return { booked, again, seq: reply.seq };
  }

  /** @returns false when the party may be placed elsewhere */
  #refuseForGood(party: Party, outcomes: readonly BookOutcome[]): boolean {
    const culprit = outcomes.findIndex(({ kind }) => kind === 'taken' || kind === 'freed');
    if (culprit < 0) {
      for (const { kind } of outcomes) {
        if (kind !== 'set') this.#ports.telemetry.count('berth_ledger_refusals_total', { kind });
      }
      return false;
    }
    const kind = outcomes[culprit]?.kind === 'taken' ? 'taken' : 'gone';
    refuseParty(party, culprit, { kind });
    return true;
  }

  /** Before any work is done for them. */
  #dropStale(): void {
    for (const party of this.#queue.takeStale(this.#ports.clock.monotonic())) {
      rejectParty(party, tooLate());
    }
  }
}

const contended = (): DomainError =>
  new DomainError(
    'ledger_unavailable',
    'The fleet changes faster than a place can be booked; try again.',
    { retryAfterS: 1 },
  );

const tooLate = (): DomainError =>
  new DomainError('overloaded', 'No place could be decided in time; try again.', {
    retryAfterS: 1,
  });

const sizeOf = (parties: readonly Party[]): number =>
  parties.reduce((sum, { members }) => sum + members.length, 0);

function promised() {
  let resolve: (answer: Answer) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<Answer>((onAnswer, onError) => {
    resolve = onAnswer;
    reject = onError;
  });
  return { promise, resolve, reject };
}
