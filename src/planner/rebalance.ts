/**
 * Advice: the few moves of VMs that gain most. Nothing is moved here.
 *
 *   crowding(h) = (1/n) Σ_i (capacity_hi / mean capacity_i) · u_hi²     u_hi = booked / limit
 *   gain of a move = crowding of both hosts before − after              goal `spread`
 *                    crowding of both hosts after − before              goal `pack`
 *
 * n: classes that the fleet has. The sum of crowding over the fleet is smallest when every host is
 * used alike and largest when hosts are either full or empty, and a move changes only two of its
 * terms. Moves are taken one by one, the greatest gain first, while the best gains at least
 * `gainMin`. Gain, candidates and end depend on the fleet as it is and on nothing else, and every
 * move makes the sum better by `gainMin` or more: so advice that was followed to its end leaves
 * nothing to advise, and VMs never go to and fro.
 */
import type { HostRef } from '../model/decision.js';
import type { FleetHost, HostFacts } from '../model/host.js';
import type { Resources } from '../model/resources.js';
import { admits, prepare } from '../placement/filter.js';
import { brokenWishCount } from '../placement/group-rules.js';
import type { HostTable } from '../placement/host-table.js';
import {
  classesOf,
  groupsOf,
  tableOf,
  vmsByHost,
  type PlannedFleet,
  type PlannedVm,
  type SlicedWork,
} from './fleet.js';
import { shareOf } from './measures.js';

export const GOALS = ['spread', 'pack'] as const;
export type Goal = (typeof GOALS)[number];

export interface Move {
  readonly vm: { readonly id: string; readonly name: string };
  readonly from: HostRef;
  readonly to: HostRef;
  readonly gain: number;
  /** What has to be made anew or carried over. */
  readonly cost: { readonly memoryMib: number; readonly diskMib: number };
}

/** The fleet in three figures. */
export interface Balance {
  /** Root mean square distance of the hosts' utilisation from the mean, over the classes. */
  readonly unevenness: number;
  readonly emptyHosts: number;
  /** The largest utilisation of any class on any host, and whose it is; null without hosts. */
  readonly fullest: { readonly host: HostRef; readonly share: number } | null;
}

export interface RebalanceAdvice {
  readonly goal: Goal;
  readonly moves: readonly Move[];
  /** Whether no move is left that gains enough; false when only `movesMax` ended it. */
  readonly isSettled: boolean;
  readonly before: Balance;
  readonly after: Balance;
}

export interface RebalanceInput {
  readonly fleet: PlannedFleet;
  readonly goal: Goal;
  /** A hundredth: a VM of a tenth of a host that comes to a host used 15 points less. */
  readonly gainMin: number;
  readonly movesMax: number;
}

export const DEFAULT_GAIN_MIN = 0.01;
export const DEFAULT_MOVES_MAX = 20;

/** Hosts that VMs are taken from, and given to, in one look: those where most is to be gained. */
const HOSTS_LOOKED_AT = 64;

interface Found {
  readonly vm: PlannedVm;
  readonly from: number;
  readonly to: number;
  readonly gain: number;
}

/** Works on a copy of the fleet. */
export function* rebalance(input: RebalanceInput): SlicedWork<RebalanceAdvice> {
  const { fleet, goal, gainMin, movesMax } = input;
  const desk = new Desk(fleet, goal);
  const before = desk.balance();
  const moves: Move[] = [];
  let isSettled = false;
  while (!isSettled && moves.length < movesMax) {
    const best = yield* desk.best(gainMin, moves.length / movesMax);
    if (best === null) isSettled = true;
    else moves.push(desk.move(best));
  }
  return { goal, moves, isSettled, before, after: desk.balance() };
}

class Desk {
  readonly #table: HostTable;
  readonly #goal: Goal;
  readonly #hosts: readonly FleetHost[];
  readonly #classes: readonly string[];
  readonly #meanLimit: Resources;
  readonly #vms: Map<string, PlannedVm[]>;

  constructor(fleet: PlannedFleet, goal: Goal) {
    this.#table = tableOf(fleet);
    this.#goal = goal;
    this.#hosts = fleet.hosts;
    this.#classes = classesOf(fleet.hosts);
    this.#meanLimit = Object.fromEntries(
      this.#classes.map((name) => [
        name,
        fleet.hosts.reduce((sum, { limits }) => sum + (limits[name] ?? 0), 0) / fleet.hosts.length,
      ]),
    );
    this.#vms = vmsByHost(fleet.vms);
  }

  /** The move that gains most; null when none gains enough. */
  *best(gainMin: number, done: number): Generator<number, Found | null> {
    const { sources, targets } = this.#candidates();
    let best: Found | null = null;
    for (const from of sources) {
      for (const vm of this.#vms.get(this.#table.factsAt(from).id) ?? []) {
        if (!vm.isMovable) continue;
        const found = this.#bestOf(vm, from, targets, Math.max(gainMin, best?.gain ?? 0));
        if (found !== null && (best === null || comesBefore(found, best))) best = found;
      }
      yield done;
    }
    return best;
  }

  /** Carries a move out on the copy. */
  move({ vm, from, to, gain }: Found): Move {
    const groups = groupsOf(vm);
    this.#table.unbook(from, vm.resources, groups);
    this.#table.book(to, vm.resources, groups);
    const [source, target] = [this.#table.factsAt(from), this.#table.factsAt(to)];
    this.#vms.set(source.id, without(this.#vms.get(source.id) ?? [], vm));
    this.#vms.set(target.id, [...(this.#vms.get(target.id) ?? []), { ...vm, hostId: target.id }]);
    return {
      vm: { id: vm.id, name: vm.name },
      from: refOf(source),
      to: refOf(target),
      gain,
      cost: { memoryMib: vm.resources.memory ?? 0, diskMib: vm.resources.disk ?? 0 },
    };
  }

  balance(): Balance {
    let fullest: Balance['fullest'] = null;
    let emptyHosts = 0;
    let squares = 0;
    const means = this.#classes.map((name) => this.#meanUse(name));
    for (let row = 0; row < this.#table.size; row += 1) {
      const allocated = this.#table.allocatedAt(row);
      if (Object.values(allocated).every((amount) => amount === 0)) emptyHosts += 1;
      this.#classes.forEach((name, index) => {
        const share = this.#use(row, name);
        if (fullest === null || share > fullest.share) {
          fullest = { host: refOf(this.#table.factsAt(row)), share };
        }
        squares += this.#weight(row, name) * (share - (means[index] ?? 0)) ** 2;
      });
    }
    const terms = this.#classes.length * this.#hosts.length;
    return { unevenness: terms === 0 ? 0 : Math.sqrt(squares / terms), emptyHosts, fullest };
  }

  /** Where moves are looked for: from the crowded to the roomy to spread, the reverse to pack. */
  #candidates(): { readonly sources: readonly number[]; readonly targets: readonly number[] } {
    const rows = Array.from({ length: this.#table.size }, (_, row) => row)
      .map((row) => ({ row, crowd: this.#crowding(row, {}, 0), seq: this.#table.seq[row] ?? 0 }))
      .sort((a, b) => b.crowd - a.crowd || a.seq - b.seq)
      .map(({ row }) => row);
    const crowdedFirst = this.#goal === 'spread' ? rows : rows.toReversed();
    const sources = crowdedFirst.filter((row) => {
      const facts = this.#table.factsAt(row);
      return isLeft(facts) && (this.#vms.get(facts.id) ?? []).some(({ isMovable }) => isMovable);
    });
    const targets = crowdedFirst.toReversed().filter((row) => this.#isTarget(row));
    return {
      sources: sources.slice(0, HOSTS_LOOKED_AT),
      targets: targets.slice(0, HOSTS_LOOKED_AT),
    };
  }

  /** A host that is full to the brim takes nothing, however much it would gain to pack it more. */
  #isTarget(row: number): boolean {
    if (this.#table.open[row] !== 1) return false;
    return this.#classes.some((name) => this.#use(row, name) < 1);
  }

  #bestOf(vm: PlannedVm, from: number, targets: readonly number[], least: number): Found | null {
    const groups = groupsOf(vm);
    // Its own membership must not keep it from, or hold it to, any host.
    this.#table.unbook(from, vm.resources, groups);
    try {
      const request = prepare(this.#table, vm);
      const wishes = (row: number) =>
        request.groups === null ? 0 : brokenWishCount(request.groups, this.#table.factsAt(row).id);
      const leaving = this.#crowding(from, vm.resources, 1) - this.#crowding(from, {}, 0);
      const here = wishes(from);
      let best: Found | null = null;
      for (const to of targets) {
        if (to === from) continue;
        const coming = this.#crowding(to, vm.resources, 1) - this.#crowding(to, {}, 0);
        const gain = this.#goal === 'spread' ? leaving - coming : coming - leaving;
        if (gain < least || (best !== null && gain < best.gain)) continue;
        if (!admits(this.#table, to, request) || wishes(to) > here) continue;
        const found = { vm, from, to, gain };
        if (best === null || comesBefore(found, best)) best = found;
      }
      return best;
    } finally {
      this.#table.book(from, vm.resources, groups);
    }
  }

  /** Crowding of a host that has more booked by so many times an amount. */
  #crowding(row: number, more: Resources, times: number): number {
    const { limits } = this.#table.factsAt(row);
    let sum = 0;
    for (const name of this.#classes) {
      const booked = this.#table.bookedAt(row, name) + times * (more[name] ?? 0);
      const share = shareOf(booked, limits[name] ?? 0);
      sum += this.#weight(row, name) * share * share;
    }
    return sum / this.#classes.length;
  }

  #use(row: number, name: string): number {
    const limit = this.#table.factsAt(row).limits[name] ?? 0;
    return shareOf(this.#table.bookedAt(row, name), limit);
  }

  /** Large hosts count for more, so that what is even is the use and not the amount. */
  #weight(row: number, name: string): number {
    return shareOf(this.#table.factsAt(row).limits[name] ?? 0, this.#meanLimit[name] ?? 0);
  }

  #meanUse(name: string): number {
    let booked = 0;
    let limit = 0;
    for (let row = 0; row < this.#table.size; row += 1) {
      booked += this.#table.bookedAt(row, name);
      limit += this.#table.factsAt(row).limits[name] ?? 0;
    }
    return shareOf(booked, limit);
  }
}

/** More gain; where equal less to carry, then by id, so that nothing hangs on the order of VMs. */
const comesBefore = (a: Found, b: Found): boolean =>
  a.gain !== b.gain
    ? a.gain > b.gain
    : carried(a.vm) !== carried(b.vm)
      ? carried(a.vm) < carried(b.vm)
      : a.vm.id < b.vm.id;

const carried = ({ resources }: PlannedVm): number =>
  (resources.memory ?? 0) + (resources.disk ?? 0);

/** Hosts that do not answer cannot let a VM go; drains have a plan of their own. */
const isLeft = ({ state, mode }: HostFacts): boolean =>
  state === 'up' && (mode === 'enabled' || mode === 'cordoned');

const without = (vms: readonly PlannedVm[], gone: PlannedVm): PlannedVm[] =>
  vms.filter(({ id }) => id !== gone.id);

const refOf = ({ id, name }: HostFacts): HostRef => ({ id, name });
