/**
 * What a host offers to placement (zone, labels, inventory, limits), computed from what its agent
 * says, what its operator says, and the configuration. Whoever changes one of these locks the row,
 * computes here and writes all in one statement, so that no writer works with an older version.
 */
import { sql, type RawBuilder } from 'kysely';
import {
  bookableOf,
  offerOf,
  type Host,
  type HostMode,
  type HostOverrides,
  type HostSays,
} from '../model/host.js';
import type { HostState } from '../model/host-liveness.js';
import type { CapacityPolicy } from '../model/inventory.js';
import { settleTotals } from '../model/report-order.js';
import type { Resources } from '../model/resources.js';
import type { Database } from './connection.js';

/** What is said of a host, as its row keeps it. */
export interface Said {
  readonly said: HostSays;
  readonly suspected: Resources;
  readonly overrides: HostOverrides;
  readonly orphaned: Resources;
}

export interface SaidRow extends Said {
  readonly id: string;
  readonly address: string;
  readonly mode: HostMode;
  readonly bootId: string;
  readonly report: number;
  readonly state: HostState;
  readonly missedPolls: number;
  /** When the look began whose poll was saved last; null where the clock has gone back since. */
  readonly polledAt: Date | null;
}

/** A host of which nothing is known yet. */
export const UNSAID: Said = {
  said: { zone: '', labels: {}, totals: {} },
  suspected: {},
  overrides: {},
  orphaned: {},
};

/** Locks the rows until the transaction ends, in order of id, as everybody does. */
export async function lockSaid(
  tx: Database,
  where: RawBuilder<unknown>,
): Promise<readonly SaidRow[]> {
  const { rows } = await sql<SaidRow>`
    select id, address, mode, said, suspected, overrides, orphaned, boot_id as "bootId", report,
           state, missed_polls as "missedPolls",
           case when polled_at <= clock_timestamp() then polled_at end as "polledAt"
    from hosts where ${where} order by id for no key update`.execute(tx);
  return rows;
}

/** The same with one more report of the totals. */
export function withReport(before: Said, totals: HostSays['totals']): Said {
  const { accepted, suspected } = settleTotals(before.said.totals, before.suspected, totals);
  return { ...before, said: { ...before.said, totals: accepted }, suspected };
}

/** Columns of `hosts` that go with what is said. */
export interface Room extends Pick<Host, 'zone' | 'labels' | 'inventory'> {
  readonly said: HostSays;
  readonly suspected: Resources;
  readonly limits: Resources;
}

export function roomOf(
  { said, suspected, overrides, orphaned }: Said,
  policy: CapacityPolicy,
): Room {
  const offer = offerOf(said, overrides, policy);
  const limits = bookableOf({ inventory: offer.inventory, orphaned });
  return { ...offer, said, suspected, limits };
}
