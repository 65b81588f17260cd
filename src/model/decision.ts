/** What placement answers: a host or none, and why, host by host. */
import type { Constraints } from './constraints.js';
import type { GroupRule } from './groups.js';
import type { RankedClass, ResourceClass, Resources } from './resources.js';

export const REASON_CODES = [
  'host_down',
  'host_suspect',
  'host_joining',
  'cordoned',
  'draining',
  'retired',
  'insufficient',
  'zone',
  'label',
  'host',
  'excluded',
  'affinity',
  'anti_affinity',
  'over_full',
] as const;
export type ReasonCode = (typeof REASON_CODES)[number];

/** One reason why a host was passed over. The amounts are there when a class is short. */
export interface RejectReason {
  readonly code: ReasonCode;
  readonly resource?: ResourceClass;
  readonly requested?: number;
  readonly available?: number;
  readonly limit?: number;
  /** The group whose rule would be broken. */
  readonly group?: string;
}

export interface PlacementRequest {
  readonly resources: Resources;
  readonly constraints: Constraints;
  /** Groups are named within it. */
  readonly path: string;
}

export interface HostRef {
  readonly id: string;
  readonly name: string;
}

/** Parts of a score by their names: the more of each, the better. */
export type Addends = Readonly<Record<string, number>>;

export interface Candidate {
  readonly host: HostRef;
  /** 1 is the host that is chosen. */
  readonly rank: number;
  readonly score: number;
  /** What the score is made of; of the first two candidates only. */
  readonly addends?: Addends;
  /** Soft rules that this host would break; fewer come first, whatever the score. */
  readonly violations: readonly GroupRule[];
  /** The large VM for which this host is kept: it comes after all that are not. */
  readonly keptFor?: Resources;
  /** What is left of each ranked class, as a share of capacity. */
  readonly remaining: Readonly<Record<RankedClass, number>>;
  /** What is asked of each ranked class, as a share of capacity. */
  readonly requested: Readonly<Record<RankedClass, number>>;
}

export interface Rejection {
  readonly host: HostRef;
  readonly reasons: readonly RejectReason[];
}

export interface DecisionSummary {
  /** Hosts that were looked at. */
  readonly considered: number;
  readonly feasible: number;
  /** How many hosts each reason kept away; a host with two reasons counts in both. */
  readonly byReason: Readonly<Partial<Record<ReasonCode, number>>>;
  /** The open host that lacks least (as a share of its limits), and what it lacks. */
  readonly nearest: {
    readonly host: HostRef;
    readonly missing: Resources;
  } | null;
}

export interface Explanation {
  readonly strategy: string;
  readonly request: PlacementRequest;
  readonly chosen: string | null;
  /** Why the chosen host and not the next, in a sentence; null when nobody can take it. */
  readonly explanation: string | null;
  readonly candidates: readonly Candidate[];
  readonly rejected: readonly Rejection[];
  readonly summary: DecisionSummary;
}
