/**
 * Moves VMs from what is seen of them to what is wanted. Takes due VMs under a lease of the
 * catalogue, so any number of replicas share the work, and what a dead one held is taken again.
 * What a step does is lifecycle-step.ts; this is when, how many, and saving what was found.
 */
import { nextStep } from '../model/vm-lifecycle.js';
import type { LedgerBooking, WorkItem } from '../model/ports.js';
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

export class LifecycleLoop {
  readonly #context: StepContext;
  readonly #settings: LifecycleSettings;
  readonly #writer: ProgressWriter;
  readonly #loop: Loop;
  readonly #underWay = new Set<Promise<void>>();
  readonly #perHost = new Map<string, number>();
  readonly #retries: RetryBudget;

  constructor(context: StepContext, settings: LifecycleSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#writer = new ProgressWriter(context.ports.catalogue);
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

  /** Finishes the steps under way and takes no more. */
  async stop(): Promise<void> {
    await this.#loop.stop();
    await Promise.all(this.#underWay);
  }

  /** @returns whether there may be more that is due */
  async #takeMore(): Promise<boolean> {
    const room = this.#settings.concurrencyMax - this.#underWay.size;
    if (room <= 0) return false;
    const items = await this.#context.ports.catalogue.takeWork(
      this.#context.ports.newId(),
      room,
      this.#settings.leaseMs,
      this.#busyHosts(),
    );
    for (const item of items) this.#begin(item);
    return items.length === room;
  }

  /** Their VMs would only be postponed, again and again; each step that ends looks for them. */
  #busyHosts(): readonly string[] {
    const { perHostMax } = this.#settings;
    return [...this.#perHost].flatMap(([hostId, busy]) => (busy >= perHostMax ? [hostId] : []));
  }

  #begin(item: WorkItem): void {
    const hostId = item.contact?.hostId ?? '';
    const busy = this.#perHost.get(hostId) ?? 0;
    const crowded = hostId !== '' && busy >= this.#settings.perHostMax;
    if (!crowded) this.#perHost.set(hostId, busy + 1);
    const work: Promise<void> = (
      crowded ? this.#postpone(item, HOST_BUSY_MS) : this.#workIfAffordable(item)
    )
      .catch((error: unknown) => {
        // The lease runs out and the VM is taken again; nothing it did is lost.
        this.#context.ports.log.error('a step of a VM broke', { vmId: item.vm.id, error });
      })
      .finally(() => {
        this.#underWay.delete(work);
        if (!crowded) this.#perHost.set(hostId, (this.#perHost.get(hostId) ?? 1) - 1);
        if (this.#perHost.get(hostId) === 0) this.#perHost.delete(hostId);
        this.poke();
      });
    this.#underWay.add(work);
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
