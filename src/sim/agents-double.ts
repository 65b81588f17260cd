/**
 * The agents' double: a fleet of hosts in virtual time, and the port that speaks to them. What runs
 * here is the ground truth that the auditor goes by. The rules of an order are those of the real
 * agent's keeper: new enough, room for it, written down, done.
 */
import type { AgentStatus, AgentVm } from '../model/agent-report.js';
import { DomainError } from '../model/errors.js';
import { hostInventoryOf, limitsOf, shortfalls, type CapacityPolicy } from '../model/inventory.js';
import type { AgentContact, Agents, StopOptions, VmOrder } from '../model/ports.js';
import { addResources, withoutZeros, type Resources } from '../model/resources.js';
import type { Link } from './link.js';
import type { VirtualClock, Timer } from './virtual-clock.js';

export interface HostSpec {
  readonly id: string;
  readonly totals: Resources;
  readonly bootMs: number;
  readonly stopMs: number;
  /** Whether the create that is asked for now fails. */
  readonly failsCreate: () => boolean;
  /** Whether the claim that is made now finds no room, whatever the books say. */
  readonly refusesClaim: () => boolean;
}

/** `cut`: nobody reaches it, its VMs run on. `off`: it is dark. */
export type Power = 'up' | 'cut' | 'off';

export interface SimVm {
  readonly id: string;
  assignment: number;
  state: AgentVm['state'];
  resources: Resources;
  removing: boolean;
  timer: Timer | null;
}

/** What somebody may watch: after every change of a VM, and before every order that is obeyed. */
export interface FleetWatch {
  changed(host: SimHost, vmId: string): void;
  obeyed(host: SimHost, vmId: string, assignment: number): void;
}

export const NOBODY_WATCHES: FleetWatch = { changed: () => undefined, obeyed: () => undefined };

export class SimHost {
  readonly spec: HostSpec;
  readonly vms = new Map<string, SimVm>();
  readonly totals: AgentStatus['totals'];
  /** What may run here at most. */
  readonly limits: Resources;
  readonly #clock: VirtualClock;
  readonly #policy: CapacityPolicy;
  readonly #watch: FleetWatch;
  /** The newest assignment that it has obeyed, by VM; as if on disk. */
  protected readonly newest = new Map<string, number>();
  #power: Power = 'up';
  /** What it is to be when nobody keeps it dark any more. */
  #wanted: Power = 'up';
  #keepers = 0;
  #boots = 1;
  #isScrapped = false;
  #reports = 0;

  constructor(spec: HostSpec, clock: VirtualClock, policy: CapacityPolicy, watch: FleetWatch) {
    this.spec = spec;
    this.#clock = clock;
    this.#policy = policy;
    this.#watch = watch;
    this.totals = Object.fromEntries(
      Object.entries(spec.totals).map(([resource, total]) => [
        resource,
        { total, source: 'configured' as const },
      ]),
    );
    this.limits = limitsOf(hostInventoryOf(this.totals, {}, policy));
  }

  get power(): Power {
    return this.#power;
  }

  get bootId(): string {
    return `boot-${this.#boots.toString()}`;
  }

  /** Somebody pulls its plug and guards it. @returns gives it back: it is what it would be by now */
  keepDark(): () => void {
    this.setPower('off');
    this.#keepers += 1;
    return () => {
      this.#keepers -= 1;
      this.setPower(this.#wanted);
    };
  }

  /** It is carried away, with all that was on it. */
  scrap(): void {
    this.setPower('off');
    this.#power = 'off';
    this.#isScrapped = true;
    for (const vm of this.vms.values()) vm.timer?.cancel();
    this.vms.clear();
  }

  get isScrapped(): boolean {
    return this.#isScrapped;
  }

  /** A host that comes back from the dark starts nothing by itself: its VMs wait for an order. */
  setPower(power: Power): void {
    this.#wanted = power;
    if (this.#keepers > 0 || this.#isScrapped) return;
    const wasOff = this.#power === 'off';
    this.#power = power;
    if (power === 'off') for (const vm of this.vms.values()) vm.timer?.cancel();
    if (!wasOff || power === 'off') return;
    this.#boots += 1;
    this.#reports = 0;
    for (const vm of this.vms.values()) {
      if (vm.removing) this.#bury(vm);
      else if (vm.state !== 'stopped' && vm.state !== 'failed') this.#pass(vm, 'stopped');
    }
  }

  status(): AgentStatus {
    this.#reports += 1;
    return {
      hostId: this.spec.id,
      version: 'sim',
      bootId: this.bootId,
      report: this.#reports,
      totals: this.totals,
      used: {},
      vms: [...this.vms.values()].map(reportOf),
    };
  }

  ensure({ vmId, assignment, resources, overrides }: VmOrder): AgentVm {
    const present = this.vms.get(vmId);
    this.#refuseStale(vmId, assignment);
    const isRepeat = assignment === this.newest.get(vmId);
    if (isRepeat && (present === undefined || present.removing)) {
      throw stale(vmId, assignment);
    }
    if (present?.removing === true) throw refused('state_conflict');
    if (present !== undefined && isRepeat) {
      if (!isSame(present.resources, resources)) throw refused('state_conflict');
      return reportOf(present);
    }
    const limits = limitsOf(hostInventoryOf(this.totals, overrides, this.#policy));
    if (present === undefined || !isWithin(resources, present.resources)) {
      const short = shortfalls(limits, this.#heldBeside(vmId), resources);
      if (short.length > 0 || this.spec.refusesClaim()) {
        throw new DomainError('claim_refused', 'This host has no room.', {
          extra: { shortfalls: short },
        });
      }
    }
    this.#obey(vmId, assignment);
    const vm = present ?? this.#newVm(vmId, assignment, resources);
    vm.assignment = assignment;
    vm.resources = resources;
    if (present === undefined || vm.state === 'failed') {
      this.#pass(vm, this.spec.failsCreate() ? 'failed' : 'creating');
    }
    return reportOf(vm);
  }

  start(vmId: string, assignment: number): AgentVm | null {
    const vm = this.#ordered(vmId, assignment);
    if (vm === null) return null;
    const starts = vm.state === 'stopped' || vm.state === 'stopping' || vm.state === 'failed';
    if (starts) this.#pass(vm, 'starting');
    return reportOf(vm);
  }

  stop(vmId: string, assignment: number, { force = false }: StopOptions = {}): AgentVm | null {
    const vm = this.#ordered(vmId, assignment);
    if (vm === null) return null;
    if (force && (ACTIVE.has(vm.state) || vm.state === 'stopping')) this.#pass(vm, 'stopped');
    else if (ACTIVE.has(vm.state)) this.#pass(vm, 'stopping');
    return reportOf(vm);
  }

  /** @returns whether nothing is left of it */
  remove(vmId: string, assignment: number): boolean {
    this.#refuseStale(vmId, assignment);
    const vm = this.vms.get(vmId);
    this.#obey(vmId, assignment);
    if (vm === undefined) return true;
    vm.assignment = assignment;
    if (vm.removing) return false;
    vm.removing = true;
    const isActive = ACTIVE.has(vm.state) || vm.state === 'stopping';
    vm.timer?.cancel();
    if (isActive && this.spec.stopMs > 0) {
      vm.timer = this.#clock.at(this.spec.stopMs, () => {
        this.#bury(vm);
      });
      return false;
    }
    this.#bury(vm);
    return true;
  }

  #ordered(vmId: string, assignment: number): SimVm | null {
    this.#refuseStale(vmId, assignment);
    const vm = this.vms.get(vmId);
    if (vm === undefined) return null;
    if (vm.removing) throw refused('state_conflict');
    this.#obey(vmId, assignment);
    vm.assignment = assignment;
    return vm;
  }

  #newVm(id: string, assignment: number, resources: Resources): SimVm {
    const vm: SimVm = {
      id,
      assignment,
      state: 'creating',
      resources,
      removing: false,
      timer: null,
    };
    this.vms.set(id, vm);
    return vm;
  }

  /** Lets a VM pass into a state, and on from there when its time is over. */
  #pass(vm: SimVm, state: SimVm['state']): void {
    vm.timer?.cancel();
    vm.timer = null;
    vm.state = state;
    this.#watch.changed(this, vm.id);
    const next = NEXT[state];
    if (next === undefined) return;
    const takesMs = state === 'stopping' ? this.spec.stopMs : this.spec.bootMs;
    vm.timer = this.#clock.at(takesMs, () => {
      this.#pass(vm, next);
    });
  }

  #bury(vm: SimVm): void {
    vm.timer?.cancel();
    this.vms.delete(vm.id);
    this.#watch.changed(this, vm.id);
  }

  #heldBeside(vmId: string): Resources {
    let sum: Resources = {};
    for (const vm of this.vms.values()) {
      if (vm.id !== vmId) sum = addResources(sum, vm.resources);
    }
    return sum;
  }

  #refuseStale(vmId: string, assignment: number): void {
    const newest = this.newest.get(vmId) ?? 0;
    if (assignment < newest) throw stale(vmId, newest);
  }

  #obey(vmId: string, assignment: number): void {
    this.#watch.obeyed(this, vmId, assignment);
    this.newest.set(vmId, assignment);
  }
}

export class SimFleet {
  readonly hosts = new Map<string, SimHost>();

  add(host: SimHost): void {
    this.hosts.set(host.spec.id, host);
  }

  /** @param link the way on which orders and answers may get lost */
  agents(link: Link): Agents {
    const at = <T>(site: string, { hostId, bootId }: AgentContact, order: (host: SimHost) => T) =>
      link(site, () => {
        const host = this.hosts.get(hostId);
        if (host?.power !== 'up') throw unreachable(hostId);
        if (bootId !== undefined && bootId !== host.bootId) throw refused('state_conflict');
        return order(host);
      });
    return {
      resolve: () => Promise.resolve('127.0.0.1'),
      status: (contact) => at('status', contact, (host) => host.status()),
      ensureVm: (contact, order) => at('ensureVm', contact, (host) => host.ensure(order)),
      startVm: (contact, vmId, assignment) =>
        at('startVm', contact, (host) => host.start(vmId, assignment)),
      stopVm: (contact, vmId, assignment, options) =>
        at('stopVm', contact, (host) => host.stop(vmId, assignment, options)),
      removeVm: (contact, vmId, assignment) =>
        at('removeVm', contact, (host) => host.remove(vmId, assignment)),
    };
  }

  /** Hosts that have anything of a VM. */
  hostsWith(vmId: string): readonly SimHost[] {
    return [...this.hosts.values()].filter((host) => host.vms.has(vmId));
  }
}

const ACTIVE: ReadonlySet<string> = new Set(['creating', 'starting', 'running']);

const NEXT: Readonly<Partial<Record<SimVm['state'], SimVm['state']>>> = {
  creating: 'running',
  starting: 'running',
  stopping: 'stopped',
};

const reportOf = ({ id, assignment, state, resources, removing }: SimVm): AgentVm => ({
  id,
  assignment,
  state: removing ? 'stopping' : state,
  resources,
  reason: state === 'failed' ? { code: 'create_failed', detail: 'It was told to fail.' } : null,
});

const isWithin = (asked: Resources, held: Resources): boolean =>
  Object.entries(asked).every(([resource, amount]) => amount <= (held[resource] ?? 0));

const isSame = (left: Resources, right: Resources): boolean =>
  isWithin(withoutZeros(left), right) && isWithin(withoutZeros(right), left);

/** @param hostId whose agent gave no answer */
export const unreachable = (hostId: string): DomainError =>
  new DomainError('agent_unreachable', `The agent of host ${hostId} did not answer.`);

const stale = (vmId: string, newest: number): DomainError =>
  new DomainError('stale_assignment', `The order for VM ${vmId} is out of date.`, {
    extra: { newest },
  });

const refused = (agentCode: string): DomainError =>
  new DomainError('agent_refused', `The agent refused the order: ${agentCode}.`, {
    extra: { agentCode },
  });
