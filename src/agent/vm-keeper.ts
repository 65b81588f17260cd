/**
 * Carries orders out: is it new enough, is there room, write it down, have the driver do it, write
 * down what came of it. In that order, so that a crash between any two steps is healed by repeating
 * the order, and an order that was ever obeyed is never followed by an older one (I9).
 */
import type { AgentVm } from '../model/agent-report.js';
import type { CapacityPolicy, InventoryOverrides, Shortfall } from '../model/inventory.js';
import { DomainError, hasCode } from '../model/errors.js';
import type { Clock, Log } from '../model/ports.js';
import { unitOf, withoutClasses, withoutZeros, type Resources } from '../model/resources.js';
import type { EnsureVmBody, StopBody } from '../wire/agent.js';
import { besideOverhead, bookableOf, chargeOf, evaluate, type Books } from './claims.js';
import type { Measure } from './discovery.js';
import type { Driver, Observation } from './drivers/driver.js';
import { createReservations, type Reservations } from './reservations.js';
import type { ImageStore } from './images/image-store.js';
import { createVmQueue } from './vm-queue.js';
import type { VmRecord, VmStore } from './vm-store.js';

export interface VmKeeperOptions {
  readonly store: VmStore;
  readonly driver: Driver;
  /** What VMs are made from; null: the driver takes any name of an image. */
  readonly images: Pick<ImageStore, 'check'> | null;
  readonly measure: Measure;
  readonly policy: CapacityPolicy;
  /** What one VM may have at most, per class. */
  readonly maxPerVm: Resources;
  readonly clock: Clock;
  readonly log: Log;
  /** How long an answer waits for a removal before it says "not yet". */
  readonly removalWaitMs: number;
}

/** Far longer than a disk takes to write one file. */
const GRANT_LEASE_MS = 60_000;

export class VmKeeper {
  readonly #options: VmKeeperOptions;
  readonly #queue = createVmQueue();
  /** Claims that are granted but not yet on disk; they count like those that are. */
  readonly #granted: Reservations;
  readonly #removals = new Map<string, Promise<void>>();

  constructor(options: VmKeeperOptions) {
    this.#options = options;
    this.#granted = createReservations(options.clock, GRANT_LEASE_MS);
  }

  /**
   * Takes up what was here before this process started.
   * @param isNewBoot the machine was started anew: nothing runs, and nothing is started by itself
   */
  async open(isNewBoot = false): Promise<void> {
    const { driver, store, clock } = this.#options;
    driver.open((vmId) => {
      this.#inBackground(
        'inspect',
        vmId,
        this.#queue.run(vmId, () => this.#refresh(vmId)),
      );
    });
    for (const vm of store.vms()) {
      if (vm.removing) this.#inBackground('remove', vm.id, this.#removal(vm.id));
      else {
        const isOff = isNewBoot && vm.state !== 'failed' && vm.state !== 'stopped';
        const found: VmRecord = isOff ? { ...vm, state: 'stopped', stateSince: clock.now() } : vm;
        await this.#note(vm, await driver.resume(found));
      }
    }
    await driver.settle(new Set(store.vms().map(({ id }) => id))).catch((error: unknown) => {
      this.#options.log.error('leftovers of VMs could not be cleared away', { error });
    });
  }

  /** Lets go of the driver and waits for what is being written. */
  async close(): Promise<void> {
    await this.#options.driver.close();
    await Promise.allSettled(this.#removals.values());
    await this.#queue.idle();
  }

  list(): readonly AgentVm[] {
    return this.#options.store.vms().map(reportOf);
  }

  /** The VMs as they are recorded, one under removal too. */
  records(): readonly VmRecord[] {
    return this.#options.store.vms();
  }

  /** @throws DomainError `not_found` */
  get(id: string): AgentVm {
    return reportOf(this.#present(id));
  }

  /** What every VM here holds, one under removal too: only proven absence frees anything. */
  held(): ReadonlyMap<string, Resources> {
    const recorded = this.#options.store.vms().map((vm) => [vm.id, chargeOf(vm)] as const);
    return new Map([...recorded, ...this.#granted.held()]);
  }

  /**
   * "Have this VM." A repeat tells how it is; a newer assignment takes a VM over that is there.
   * @throws DomainError `stale_assignment`, `claim_refused`, `image_missing`, `disk_too_small`,
   *   `state_conflict`
   */
  async ensure(id: string, order: EnsureVmBody): Promise<AgentVm> {
    const { driver, store } = this.#options;
    await driver.check();
    // A VM that is on its way out must be gone before a newer order can have it again.
    if (store.vm(id)?.removing === true && order.assignment > store.newestAssignment(id)) {
      await this.#removedInTime(id);
    }
    return this.#queue.run(id, async () => {
      this.#refuseStale(id, order.assignment);
      const present = store.vm(id);
      const isRepeat = order.assignment === store.newestAssignment(id);
      if (isRepeat && (present === null || present.removing)) {
        throw stale(id, order.assignment, 'It was removed under this same assignment.');
      }
      if (present === null) return this.#create(id, order);
      this.#refuseRemoving(present);
      return isRepeat ? reportOf(sameOrder(present, order)) : this.#takeOver(present, order);
    });
  }

  /** @throws DomainError `not_found`, `stale_assignment`, `state_conflict` */
  start(id: string, assignment: number): Promise<AgentVm> {
    return this.#change(id, assignment, (vm) =>
      vm.state === 'stopped' || vm.state === 'stopping' || vm.state === 'failed'
        ? this.#options.driver.start(vm)
        : null,
    );
  }

  /** @throws DomainError `not_found`, `stale_assignment`, `state_conflict` */
  stop(id: string, { assignment, force = false }: StopBody): Promise<AgentVm> {
    return this.#change(id, assignment, (vm) =>
      vm.state === 'running' ||
      vm.state === 'starting' ||
      vm.state === 'creating' ||
      (vm.state === 'stopping' && force)
        ? this.#options.driver.stop(vm, { force })
        : null,
    );
  }

  /**
   * "Have this VM no more", also if it was never here: then an order that is still on its way
   * cannot bring it.
   * @returns true when nothing is left of it, false while it is being removed
   * @throws DomainError `stale_assignment`
   */
  async remove(id: string, assignment: number): Promise<boolean> {
    const { driver, store } = this.#options;
    await driver.check();
    const isGone = await this.#queue.run(id, async () => {
      this.#refuseStale(id, assignment);
      const vm = store.vm(id);
      if (vm === null) {
        if (assignment > store.newestAssignment(id)) await store.bury(id, assignment);
        return true;
      }
      if (!vm.removing || assignment > vm.assignment) {
        await store.save({ ...vm, assignment, removing: true });
      }
      return false;
    });
    return isGone || this.#removedInTime(id);
  }

  async #create(
    id: string,
    { overrides = {}, users = [], ...order }: EnsureVmBody,
  ): Promise<AgentVm> {
    const vm: VmRecord = {
      id,
      ...order,
      users,
      state: 'creating',
      reason: null,
      stateSince: this.#options.clock.now(),
      removing: false,
    };
    // Before the claim: a host that cannot make it must not hold room for it.
    this.#refuseHotplug(vm);
    this.#options.images?.check({ image: vm.image, diskMib: vm.resources.disk ?? 0 });
    await this.#claim(vm, overrides);
    return this.#make(vm);
  }

  /** A newer assignment of a VM that is here. One that failed is tried once more. */
  async #takeOver(
    present: VmRecord,
    { overrides = {}, users = [], ...order }: EnsureVmBody,
  ): Promise<AgentVm> {
    const vm: VmRecord = {
      ...present,
      hotplugMib: undefined,
      bandwidth: undefined,
      ...order,
      users,
    };
    this.#refuseHotplug(vm);
    // What it holds already is no new claim, even on a host that has become too small for it.
    if (isWithin(chargeOf(vm), chargeOf(present))) await this.#options.store.save(vm);
    else await this.#claim(vm, overrides);
    if (vm.state !== 'failed') return reportOf(vm);
    return this.#make(vm);
  }

  /** A create that breaks ends `failed`, not `creating` for ever: a repeat would only be told so. */
  async #make(vm: VmRecord): Promise<AgentVm> {
    const { driver, clock, log } = this.#options;
    const seen = await driver.create(vm).catch((error: unknown): Observation => {
      log.error('the driver could not create a VM', { vmId: vm.id, error });
      const reason =
        error instanceof DomainError
          ? { code: error.code, detail: error.message }
          : { code: 'create_failed', detail: 'The driver could not create the VM.' };
      return { state: 'failed', reason, since: clock.now() };
    });
    return this.#note(vm, seen);
  }

  /** Takes room for a VM and writes it down. @throws DomainError `claim_refused` */
  async #claim(vm: VmRecord, overrides: InventoryOverrides): Promise<void> {
    const { driver, measure, policy, store } = this.#options;
    const offered = bookableOf((await measure()).totals, overrides, policy);
    // What the operator says of the machine gives the driver no more than it has.
    const limits = withoutClasses(offered, driver.withheld ?? []);
    // From here to the grant nothing is awaited, so that two claims cannot take the same room.
    this.#refuseWithoutRoom(vm, limits);
    const before = store.vm(vm.id);
    const lease = this.#granted.take(vm.id, chargeOf(vm));
    try {
      await store.save(vm);
      // The disk took so long that others may have been given the room meanwhile.
      if (!lease.isLive()) this.#refuseWithoutRoom(vm, limits);
    } catch (error) {
      if (store.vm(vm.id) === vm) await this.#takeBack(vm, before);
      throw error;
    } finally {
      lease.end();
    }
  }

  /** @throws DomainError `invalid_request` when memory is asked for that would never be given */
  #refuseHotplug({ hotplugMib = 0 }: VmRecord): void {
    const { name, hotplugs = true } = this.#options.driver;
    if (hotplugMib === 0 || hotplugs) return;
    const message = `must be 0 or absent: the driver ${name} plugs no memory into its VMs`;
    throw new DomainError('invalid_request', 'Some fields are not valid; see errors.', {
      errors: [{ field: 'hotplugMib', message }],
    });
  }

  #refuseWithoutRoom(vm: VmRecord, bookable: Resources): void {
    const { driver, maxPerVm } = this.#options;
    const charge = chargeOf(vm);
    const held = this.held();
    const limits = besideOverhead(
      bookable,
      new Map([...held, [vm.id, charge]]),
      (guestMib) => driver.overheadMib?.(guestMib) ?? 0,
    );
    const books: Books = { limits, held, maxPerVm };
    const short = driver.admits()
      ? evaluate(books, { vmId: vm.id, charge })
      : Object.entries(charge).map(([resource, requested]) => ({
          resource,
          requested,
          available: 0,
          limit: limits[resource] ?? 0,
        }));
    if (short.length === 0) return;
    throw new DomainError('claim_refused', refusalText(short), { extra: { shortfalls: short } });
  }

  /** As it was before a claim that is not granted after all. */
  async #takeBack({ id, assignment }: VmRecord, before: VmRecord | null): Promise<void> {
    const { store } = this.#options;
    if (before === null) await store.bury(id, assignment);
    else await store.save({ ...before, assignment });
  }

  async #change(
    id: string,
    assignment: number,
    act: (vm: VmRecord) => Promise<Observation> | null,
  ): Promise<AgentVm> {
    await this.#options.driver.check();
    return this.#queue.run(id, async () => {
      this.#refuseStale(id, assignment);
      const present = this.#present(id);
      this.#refuseRemoving(present);
      const vm = { ...present, assignment };
      if (assignment > present.assignment) await this.#options.store.save(vm);
      const observation = await act(vm);
      return observation === null ? reportOf(vm) : this.#note(vm, observation);
    });
  }

  /** Writes down what the driver sees, if it is news. */
  async #note(vm: VmRecord, seen: Observation): Promise<AgentVm> {
    const news = { ...vm, state: seen.state, reason: seen.reason, stateSince: seen.since };
    const isNews = vm.state !== seen.state || vm.stateSince !== seen.since;
    if (isNews) await this.#options.store.save(news);
    return reportOf(news);
  }

  async #refresh(id: string): Promise<void> {
    const vm = this.#options.store.vm(id);
    if (vm === null || vm.removing) return;
    await this.#note(vm, await this.#options.driver.inspect(vm));
  }

  /** The removal that is under way, or a new one; several callers share it. */
  #removal(id: string): Promise<void> {
    const underWay = this.#removals.get(id);
    if (underWay !== undefined) return underWay;
    const removal = this.#removeNow(id).finally(() => this.#removals.delete(id));
    this.#removals.set(id, removal);
    return removal;
  }

  /** Outside the queue, for it may take long: nothing else is done to a VM under removal. */
  async #removeNow(id: string): Promise<void> {
    const { driver, store } = this.#options;
    const vm = store.vm(id);
    if (vm?.removing !== true) return;
    await driver.remove(vm);
    await this.#queue.run(id, () => store.bury(id, store.newestAssignment(id)));
  }

  /** Waits for a removal, but no longer than an answer may take. */
  async #removedInTime(id: string): Promise<boolean> {
    const { clock, removalWaitMs } = this.#options;
    const enough = new AbortController();
    const removal = this.#removal(id);
    try {
      return await Promise.race([
        removal.then(() => true),
        clock.sleep(removalWaitMs, enough.signal).then(() => false),
      ]);
    } finally {
      enough.abort();
      this.#inBackground('remove', id, removal);
    }
  }

  #present(id: string): VmRecord {
    const vm = this.#options.store.vm(id);
    if (vm === null) throw new DomainError('not_found', `This host has no VM ${id}.`);
    return vm;
  }

  #refuseStale(id: string, assignment: number): void {
    const newest = this.#options.store.newestAssignment(id);
    if (assignment < newest) throw stale(id, newest, 'A newer assignment was seen.');
  }

  #refuseRemoving(vm: VmRecord): void {
    if (!vm.removing) return;
    throw new DomainError('state_conflict', `VM ${vm.id} is still being removed from this host.`);
  }

  #inBackground(what: string, vmId: string, work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (hasCode(error, 'shutting_down')) return;
      this.#options.log.error('work on a VM failed; it is done again at the next order', {
        what,
        vmId,
        error,
      });
    });
  }
}

/** Every class that is short, in one sentence. */
function refusalText(short: readonly Shortfall[]): string {
  const classes = short.map(
    ({ resource, requested, available, limit }) =>
      `${resource} (${requested.toString()} ${unitOf(resource)} requested, ${available.toString()} available, limit ${limit.toString()})`,
  );
  return `This host has not enough room for the VM: ${classes.join(', ')}.`;
}

const isWithin = (asked: Resources, held: Resources): boolean =>
  Object.entries(asked).every(([resource, amount]) => amount <= (held[resource] ?? 0));

/** The API's word for a VM; one that is being removed is on its way down. */
const reportOf = (vm: VmRecord): AgentVm => ({
  id: vm.id,
  assignment: vm.assignment,
  state: vm.removing ? 'stopping' : vm.state,
  resources: vm.resources,
  reason: vm.reason,
});

const stale = (id: string, newest: number, detail: string) =>
  new DomainError('stale_assignment', `The order for VM ${id} is out of date. ${detail}`, {
    extra: { newest },
  });

/** One assignment means one order: what differs under the same number is a mistake of the caller. */
function sameOrder(vm: VmRecord, order: EnsureVmBody): VmRecord {
  const plain = (resources: Resources) =>
    JSON.stringify(Object.entries(withoutZeros(resources)).sort(([a], [b]) => (a < b ? -1 : 1)));
  if (plain(chargeOf(vm)) === plain(chargeOf(order))) return vm;
  throw new DomainError(
    'state_conflict',
    `VM ${vm.id} was claimed under this assignment with other resources.`,
  );
}
