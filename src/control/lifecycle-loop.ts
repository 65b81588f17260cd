/**
 * Moves VMs from what is seen of them to what is wanted. Takes due VMs under a lease of the
 * catalogue, so any number of replicas share the work, and what a dead one held is taken again.
 * New VMs come taken already, from the record of the same replica, while it has room for them.
 * What a step does is lifecycle-step.ts; this is when, how many, and saving what was found.
 */
import { nextStep } from '../model/vm-lifecycle.js';
import type { LedgerBooking, Taking, WorkItem } from '../model/ports.js';
import type { Driver } from './driver.js';
import type { Finding } from './finding.js';
import { carryOut, type StepContext } from './lifecycle-step.js';
import { Loop } from './loop.js';
import { ProgressWriter } from './progress-writer.js';
import { RetryBudget } from './retry-budget.js';
import { giveBack } from './reservations.js';
import type { LifecycleSettings } from './settings.js';

/** Pause of a VM whose host is busy with as many others as it may be. */
const HOST_BUSY_MS = 250;

/** Pauses of a VM whose host has been asked again as often as it may be, at random up to twice this. */
const NO_BUDGET_MS = 1_000;

/** While more is due than there is room for, it is looked for when this part of the room is free. */
const ROOM_SHARE = 4;

export class LifecycleLoop implements Driver {
  readonly #context: StepContext;
  readonly #settings: LifecycleSettings;
  readonly #writer: ProgressWriter;
  readonly #loop: Loop;
  readonly #underWay = new Set<Promise<void>>();
  /** VMs for which room is kept while they are being recorded. */
  #promised = 0;
  /** Whether more may be due than the last look took: then whatever ends makes room for it. */
  #isMore = false;
  /** VMs under way of which something else has been wanted meanwhile. */
  readonly #wantedAgain = new Set<string>();
  readonly #vmsUnderWay = new Set<string>();
  readonly #perHost = new Map<string, number>();
  readonly #retries: RetryBudget;

  constructor(context: StepContext, settings: LifecycleSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#writer = new ProgressWriter(context.ports.catalogue, context.ports.clock);
    this.#retries = new RetryBudget(context.ports.clock);
    this.#loop = new Loop({
      clock: context.ports.clock,
      tickMs: settings.tickMs,
      look: () => this.#takeMore(),
      onFailure: (error) => {
        context.ports.log.warn('lifecycle loop could not take work', { error });
      },
    });
  }

  start(): void {
    this.#loop.start();
  }

  /** Something may have become due: do not wait for the tick. */
  poke(): void {
    this.#loop.poke();
  }

  /** Something else is wanted of this VM: if a step of it is under way, the next one follows it. */
  wanted(vmId: string): void {
    if (this.#vmsUnderWay.has(vmId)) this.#wantedAgain.add(vmId);
    this.poke();
  }

  promise(count: number): Taking | null {
    const countMax = Math.min(count, this.#room());
    if (countMax <= 0) return null;
    this.#promised += countMax;
    return { lease: this.#context.ports.newId(), leaseMs: this.#settings.leaseMs, countMax };
  }

  keep({ countMax }: Taking, taken: readonly WorkItem[]): void {
    this.#promised -= countMax;
    // Who waits for the answer of the record comes before the agents.
    const othersTurn = this.#context.ports.clock.sleep(0);
    for (const item of taken) this.#begin(item, othersTurn);
  }

  /** Finishes the steps under way and takes no more. */
  async stop(): Promise<void> {
    await this.#loop.stop();
    await Promise.all(this.#underWay);
  }

  /** @returns whether there may be more that is due */
  async #takeMore(): Promise<boolean> {
    const room = this.#room();
    const busy = this.#busyHosts();
    this.#isMore = room <= 0 || busy.length > 0;
    if (room <= 0) return false;
    const items = await this.#context.ports.catalogue.takeWork(
      this.#context.ports.newId(),
      room,
      this.#settings.leaseMs,
      busy,
    );
    for (const item of items) this.#begin(item);
    return items.length === room;
  }

  #room(): number {
    return this.#settings.concurrencyMax - this.#underWay.size - this.#promised;
  }

  /** Their VMs would only be postponed, again and again; each step that ends looks for them. */
  #busyHosts(): readonly string[] {
    const { perHostMax } = this.#settings;
    return [...this.#perHost].flatMap(([hostId, busy]) => (busy >= perHostMax ? [hostId] : []));
  }

  /** @param after a place in line */
  #begin(item: WorkItem, after?: Promise<void>): void {
    const hostId = item.contact?.hostId ?? '';
    const busy = this.#perHost.get(hostId) ?? 0;
    const crowded = hostId !== '' && busy >= this.#settings.perHostMax;
    if (!crowded) this.#perHost.set(hostId, busy + 1);
    this.#vmsUnderWay.add(item.vm.id);
    const step = () =>
      crowded ? this.#postpone(item, HOST_BUSY_MS) : this.#workIfAffordable(item);
    const work: Promise<void> = (after === undefined ? step() : after.then(step))
      .catch((error: unknown) => {
        // The lease runs out and the VM is taken again; nothing it did is lost.
        this.#context.ports.log.error('a step of a VM broke', { vmId: item.vm.id, error });
      })
      .finally(() => {
        this.#underWay.delete(work);
        if (!crowded) this.#perHost.set(hostId, (this.#perHost.get(hostId) ?? 1) - 1);
        if (this.#perHost.get(hostId) === 0) this.#perHost.delete(hostId);
        this.#vmsUnderWay.delete(item.vm.id);
        const wanted = this.#wantedAgain.delete(item.vm.id);
        if (wanted || (this.#isMore && this.#hasWorthwhileRoom())) this.poke();
      });
    this.#underWay.add(work);
  }

  /** A look for one or two VMs costs as much as one for many. */
  #hasWorthwhileRoom(): boolean {
    return this.#room() * ROOM_SHARE >= this.#settings.concurrencyMax;
  }

  async #postpone(item: WorkItem, nextInMs: number): Promise<void> {
    const { state, reason } = item.vm;
    await this.#writer.save(item, { state, reason, nextInMs, postponed: true });
    this.#pokeIn(nextInMs);
  }

  /** What no host is asked for needs no budget. */
  async #workIfAffordable(item: WorkItem): Promise<void> {
    const { contact, tries, vm } = item;
    const { ports } = this.#context;
    if (contact !== null && tries === 0) this.#retries.earn(contact.hostId);
    if (contact === null || tries === 0 || this.#retries.spend(contact.hostId)) {
      await this.#work(item);
      return;
    }
    const step = nextStep(vm);
    ports.telemetry.count('berth_lifecycle_steps_total', { step, outcome: 'held_back' });
    await this.#postpone(item, NO_BUDGET_MS * 2 * ports.random());
  }

  async #work(item: WorkItem): Promise<void> {
    const { telemetry } = this.#context.ports;
    const step = nextStep(item.vm);
    const finding = await carryOut(this.#context, item);
    const failed = finding.kind === 'progress' && finding.progress.failedTry === true;
    telemetry.count('berth_lifecycle_steps_total', { step, outcome: failed ? 'unsure' : 'done' });
    await this.#save(item, finding);
  }

  async #save(item: WorkItem, finding: Finding): Promise<void> {
    const { vm, contact, lease } = item;
    const { catalogue, log } = this.#context.ports;
    if (finding.kind === 'progress') {
      const { progress } = finding;
      const { state, reason } = progress;
      if ((await this.#writer.save(item, progress)) && state !== vm.state) {
        log.info('vm state', { vmId: vm.id, from: vm.state, to: state, reason });
      }
      if (progress.nextInMs !== null) this.#pokeIn(progress.nextInMs);
      return;
    }
    if (finding.kind === 'renew') {
      if (await catalogue.renewAssignment(lease, vm.id, finding.above)) {
        log.warn('vm gets a newer assignment than its host knows', { vmId: vm.id, ...finding });
      }
      return;
    }
    const saved = await catalogue.releaseVm(lease, vm.id, finding.result);
    if (saved === null) return;
    const { state, reason } = finding.result;
    log.info('vm released', { vmId: vm.id, hostId: contact?.hostId, to: state, reason });
    if (state === 'placed') this.poke();
    if (state === 'deleted') this.#context.ports.checkpoint('delete:released');
    if (vm.movingTo !== null && finding.result.movesOn !== true) {
      await giveBack(this.#context.ports, vm.movingTo, null).catch((error: unknown) => {
        log.debug('room for a move is left to the upkeep', { vmId: vm.id, error });
      });
    }
    if (contact === null || vm.allocation === null) return;
    await this.#releaseInLedger({
      bookingId: vm.allocation.bookingId,
      vmId: vm.id,
      hostId: contact.hostId,
    });
  }

  async #releaseInLedger(booking: LedgerBooking): Promise<void> {
    const { catalogue, ledger, log } = this.#context.ports;
    try {
      await ledger.release([booking]);
      await catalogue.settleReleases([booking.bookingId]);
    } catch (error) {
      // The catalogue keeps it as pending; the lease loop goes on with it.
      log.debug('release in the ledger is left to the lease loop', { error });
    }
  }

  #pokeIn(ms: number): void {
    void this.#context.ports.clock.sleep(ms).then(() => {
      this.poke();
    });
  }
}
