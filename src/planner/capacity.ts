/**
 * How many more VMs fit, flavor by flavor. Copies of one request do not care which host they get,
 * so no ranking is asked: a host takes as many as its room holds, and a property test shows that
 * placing them one by one ends with the same number.
 */
import type { ResourceClass, Resources } from '../model/resources.js';
import { NO_CONSTRAINTS } from '../model/constraints.js';
import { ROOT_PATH } from '../model/path.js';
import { admits, prepare } from '../placement/filter.js';
import type { HostTable } from '../placement/host-table.js';
import { copiesIn, roomOf, takeCopies } from './copies.js';
import type { SlicedWork } from './fleet.js';

/** A kind of VM, by name. */
export interface Flavor {
  readonly name: string;
  readonly resources: Resources;
}

export interface FlavorRoom {
  readonly name: string;
  readonly resources: Resources;
  /** How many fit when only this flavor is added. */
  readonly alone: number;
  /** How many fit after the flavors before it were added until no more of them fitted. */
  readonly tiered: number;
  /** `alone`, per zone. */
  readonly zones: Readonly<Record<string, number>>;
  /** How many would fit if all free room were on one host: what is above `alone` is in pieces. */
  readonly pooled: number;
  /** What there is too little of: the class that most hosts lack when no more fits. */
  readonly bottleneck: {
    readonly resource: ResourceClass;
    /** Open hosts that lack it, and all open ones. */
    readonly hosts: number;
    readonly of: number;
  } | null;
  /** What one more host of the given shape would add; null when no shape was given. */
  readonly added: { readonly alone: number; readonly tiered: number } | null;
}

export interface CapacityInput {
  readonly table: HostTable;
  /** In the order in which they are added. */
  readonly flavors: readonly Flavor[];
  /** What may be booked on the host that is thought of; null: none is. */
  readonly addHost: Resources | null;
}

const SLICE_HOSTS = 64;

/** Looks at the table and leaves it as it was. */
export function* capacity({
  table,
  flavors,
  addHost,
}: CapacityInput): SlicedWork<readonly FlavorRoom[]> {
  const counts = flavors.map((flavor) => new FlavorCount(flavor));
  for (let row = 0; row < table.size; row += 1) {
    if (table.open[row] === 1) countHost(table, row, counts);
    if (row % SLICE_HOSTS === 0) yield row / table.size;
  }
  const emptyRoom = { ...addHost };
  return counts.map((count) => {
    const tiered = copiesIn(emptyRoom, count.flavor.resources);
    takeCopies(emptyRoom, count.flavor.resources, tiered);
    const alone = copiesIn(addHost ?? {}, count.flavor.resources);
    return count.room(addHost === null ? null : { alone, tiered });
  });
}

function countHost(table: HostTable, row: number, counts: readonly FlavorCount[]): void {
  const { limits, zone } = table.factsAt(row);
  const free = roomOf(limits, table.allocatedAt(row));
  const left = { ...free };
  for (const count of counts) {
    const { resources } = count.flavor;
    const request = prepare(table, { resources, constraints: NO_CONSTRAINTS, path: ROOT_PATH });
    const alone = admits(table, row, request) ? copiesIn(free, resources) : 0;
    const tiered = Math.min(alone, copiesIn(left, resources));
    takeCopies(left, resources, tiered);
    count.add(zone, free, alone, tiered);
  }
}

/** The sums of one flavor over the hosts. */
class FlavorCount {
  readonly flavor: Flavor;
  readonly #zones: Record<string, number> = {};
  readonly #pooled: Record<ResourceClass, number> = {};
  readonly #short: Record<ResourceClass, number> = {};
  #alone = 0;
  #tiered = 0;
  #hosts = 0;

  constructor(flavor: Flavor) {
    this.flavor = flavor;
  }

  add(zone: string, free: Resources, alone: number, tiered: number): void {
    const { resources } = this.flavor;
    this.#hosts += 1;
    this.#alone += alone;
    this.#tiered += tiered;
    this.#zones[zone] = (this.#zones[zone] ?? 0) + alone;
    for (const [name, amount] of Object.entries(resources)) {
      if (amount <= 0) continue;
      const room = free[name] ?? 0;
      this.#pooled[name] = (this.#pooled[name] ?? 0) + room;
      if (room - alone * amount < amount) this.#short[name] = (this.#short[name] ?? 0) + 1;
    }
  }

  room(added: FlavorRoom['added']): FlavorRoom {
    const { name, resources } = this.flavor;
    const [scarcest] = Object.entries(this.#short).sort(
      ([a, left], [b, right]) => right - left || (a < b ? -1 : 1),
    );
    return {
      name,
      resources,
      alone: this.#alone,
      tiered: this.#tiered,
      zones: this.#zones,
      pooled: copiesIn(this.#pooled, resources),
      bottleneck:
        scarcest === undefined
          ? null
          : { resource: scarcest[0], hosts: scarcest[1], of: this.#hosts },
      added,
    };
  }
}
