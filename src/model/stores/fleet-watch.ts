/** The part of the catalogue that judges looks at the fleet as a whole; see model/fleet-breaker.ts. */
import type { Actor } from '../actor.js';
import type { Judgement, WatchRules } from '../fleet-breaker.js';
import type { Host } from '../host.js';

/** What the watch is at now, for people. */
export interface FleetWatch {
  readonly isOpen: boolean;
  /** When the breaker opened or closed last; null: never. */
  readonly since: Date | null;
  /** Why it did. */
  readonly reason: string | null;
  /** As of the last look: hosts that count, and those of them that are missing. */
  readonly hosts: number;
  readonly missing: number;
  /** Up to when no host goes beyond `suspect` because nobody looked; null when that is over. */
  readonly graceUntil: Date | null;
  readonly lookedAt: Date | null;
}

export interface FlappingRule {
  /** Changes between `up` and not `up` within the window that make a host flap. */
  readonly changesMax: number;
  readonly windowMs: number;
  /** How long it is cordoned. */
  readonly cordonMs: number;
}

/** @param settings as the configuration says it */
export const flappingRule = (settings: {
  readonly changesMax: number;
  readonly windowS: number;
  readonly cordonS: number;
}): FlappingRule => ({
  changesMax: settings.changesMax,
  windowMs: settings.windowS * 1_000,
  cordonMs: settings.cordonS * 1_000,
});

export type LookVerdict = Pick<Judgement, 'kind' | 'held' | 'change'> & {
  readonly watch: FleetWatch;
};

export interface FleetWatchStore {
  /**
   * Judges a look at all hosts before anything of it is saved. Opens or closes the breaker, with its
   * event and its audit entry.
   * @param look `askedAt` is what `contacts` gave
   */
  judgeLook(
    look: { readonly askedAt: Date; readonly missed: readonly string[] },
    rules: WatchRules,
  ): Promise<LookVerdict>;
  fleetWatch(): Promise<FleetWatch>;
  /**
   * An operator's word that what is missing is really lost: its misses count from now on.
   * @throws DomainError `state_conflict` when the breaker is closed
   */
  closeBreaker(reason: string, by: Actor): Promise<FleetWatch>;
  /**
   * Cordons hosts that flap, as far as automation may (model/automation-limit.ts); none while
   * nothing may follow from what is missing.
   * @returns those that were cordoned, and how many are left because of the limit
   */
  cordonFlapping(
    rule: FlappingRule,
  ): Promise<{ readonly cordoned: readonly Host[]; readonly heldBack: number }>;
}

/** Owner of cordons by automation. */
export const AUTOMATION_OWNER = 'berth';

/** Changes of a host that are kept; more within a window are not asked for. */
export const CHANGES_KEPT = 50;

/** Why a flapping host is cordoned. */
export const flappingReason = (changes: number, { windowMs }: FlappingRule): string => {
  const minutes = Math.round(windowMs / 60_000);
  const window =
    minutes === 60 ? 'hour' : minutes === 1 ? 'minute' : `${minutes.toString()} minutes`;
  return `flapping: ${changes.toString()} changes in the last ${window}`;
};
