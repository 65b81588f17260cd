/** What a host offers to placement, computed from what its agent and its operator say of it. */
import { bookableOf, offerOf, type Host, type HostSays } from '../../model/host.js';
import type { CapacityPolicy } from '../../model/inventory.js';
import { settleTotals } from '../../model/report-order.js';
import { AMOUNT_MAX, type Resources } from '../../model/resources.js';
import { STRIKES } from '../../model/stores/orphans.js';
import type { HostRow, OrphanRow } from './rows.js';
import { isSame, kept } from './stored-json.js';
import { pairKey, type Tables } from './tables.js';
import { byText, hostOf } from './views.js';
import { updateHost } from './writing.js';

/** What is said of a host. */
export type Said = Pick<HostRow, 'said' | 'suspected' | 'overrides' | 'orphaned'>;

/** A host of which nothing is known yet. */
export const UNSAID: Said = kept({
  said: { zone: '', labels: {}, totals: {} },
  suspected: {},
  overrides: {},
  orphaned: {},
});

/** The same with one more report of the totals. */
export function withReport<What extends Said>(before: What, totals: HostSays['totals']): What {
  const { accepted, suspected } = settleTotals(before.said.totals, before.suspected, totals);
  return { ...before, said: { ...before.said, totals: accepted }, suspected };
}

/** Columns of a host that go with what is said. */
export type Room = Pick<HostRow, 'zone' | 'labels' | 'inventory' | 'said' | 'suspected' | 'limits'>;

export function roomOf(
  { said, suspected, overrides, orphaned }: Said,
  capacity: CapacityPolicy,
): Room {
  const offer = offerOf(said, overrides, capacity);
  const limits = bookableOf({ inventory: offer.inventory, orphaned });
  return kept({ ...offer, said, suspected, limits });
}

/** VMs without a record on a host, in order of their ids. */
export const orphansOn = (tables: Tables, hostId: string): OrphanRow[] =>
  [...tables.orphansOfHost.of(hostId)]
    .sort(byText)
    .flatMap((vmId) => tables.orphans.get(pairKey(hostId, vmId)) ?? []);

/** Makes the host's room what its orphans leave of it. @returns the host when that is a change */
export function settleRoom(tables: Tables, hostId: string): Host | null {
  const host = tables.hosts.get(hostId);
  if (host === undefined) return null;
  const confirmed = orphansOn(tables, hostId).filter(({ strikes }) => strikes >= STRIKES);
  const orphaned = sumOfAll(confirmed);
  if (isSame(orphaned, host.orphaned)) return null;
  const limits = kept(bookableOf({ inventory: host.inventory, orphaned }));
  const { revision } = host;
  return hostOf(tables, updateHost(tables, host, { orphaned, limits, revision: revision + 1 }));
}

/** An agent may say any amount of many VMs: the sum stays one that can be counted with. */
function sumOfAll(orphans: readonly OrphanRow[]): Resources {
  const sum: Record<string, number> = {};
  for (const { resources } of orphans) {
    for (const [resource, amount] of Object.entries(resources)) {
      if (amount > 0) sum[resource] = Math.min(AMOUNT_MAX, (sum[resource] ?? 0) + amount);
    }
  }
  return Object.freeze(sum);
}
