/** The catalogue's part of usage: what is used now, and how it was. */
import type { HostState } from '../host-liveness.js';
import type { Page } from '../page.js';
import type { HostUsage, UsageSample, UsageScope, UsageStep } from '../usage.js';

export interface UsageHistoryQuery {
  readonly scope: UsageScope;
  /** Of the host, or the name of the zone; empty for the total. */
  readonly id: string;
  readonly step: UsageStep;
  readonly from: Date;
  /** The first instant that is no longer asked for. */
  readonly to: Date;
  readonly limit: number;
  readonly cursor: string | null;
}

/** What a scrape needs, summed by the database. */
export interface FleetCounts {
  readonly hosts: readonly { readonly state: HostState; readonly count: number }[];
  readonly amounts: readonly {
    readonly resource: string;
    readonly kind: 'capacity' | 'limit' | 'booked' | 'used';
    readonly amount: number;
  }[];
}

/** Retired hosts are in none of it. Times are handed in, so that history can be written in tests. */
export interface UsageStore {
  /** Of each host, in order of registration. */
  usage(): Promise<readonly HostUsage[]>;
  fleetCounts(): Promise<FleetCounts>;
  /**
   * Keeps how it is now as the sample of the five minutes that `at` lies in. The first one counts.
   * @returns whether it was the first
   */
  sampleUsage(at: Date): Promise<boolean>;
  /**
   * Sums up hours that were over before `now`, and deletes what is older than is kept: a part at a
   * time. @returns whether there is more to do
   */
  rollUpUsage(now: Date): Promise<boolean>;
  /** Samples in order of time. */
  usageHistory(query: UsageHistoryQuery): Promise<Page<UsageSample>>;
}
