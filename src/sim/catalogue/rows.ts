/**
 * Rows of the catalogue's double. They are never changed, only replaced, and what they hold is
 * frozen. Times are milliseconds since 1970 with a fraction; see Tables.now.
 */
import type { Actor } from '../../model/actor.js';
import type { AgentVmState } from '../../model/agent-report.js';
import type { AuditAction, AuditSubject, Facts } from '../../model/audit.js';
import type { Constraints } from '../../model/constraints.js';
import type { Drain, DrainMove } from '../../model/drain.js';
import type { EventKind } from '../../model/events.js';
import type { Watch } from '../../model/fleet-breaker.js';
import type { GroupRule } from '../../model/groups.js';
import type { Fence, Host, HostMode, HostSays } from '../../model/host.js';
import type { LedgerBooking } from '../../model/ports.js';
import type { Reservation } from '../../model/reservation.js';
import type { Resources } from '../../model/resources.js';
import type { FencedVm } from '../../model/stores/fences.js';
import type { StoredAnswer } from '../../model/stores/idempotency.js';
import type { StrategyName } from '../../model/strategies.js';
import type { NewToken } from '../../model/token.js';
import type { SampledClass, UsageScope, UsageStep } from '../../model/usage.js';
import type {
  Allocation,
  Attempt,
  DesiredState,
  OnHostLoss,
  Reason,
  VmState,
  VmUser,
} from '../../model/vm.js';

export interface FenceRow extends Omit<Fence, 'at'> {
  readonly at: number;
}

export interface HostRow extends Pick<
  Host,
  | 'id'
  | 'seq'
  | 'name'
  | 'address'
  | 'zone'
  | 'labels'
  | 'state'
  | 'mode'
  | 'modeReason'
  | 'modeOwner'
  | 'overrides'
  | 'used'
  | 'orphaned'
  | 'missedPolls'
  | 'inventory'
  | 'allocated'
  | 'revision'
> {
  readonly credential: string;
  readonly modeUntil: number | null;
  readonly fence: FenceRow | null;
  /** What the agent says, as far as it counts. */
  readonly said: HostSays;
  /** Number of the last report of this boot; 0 after a join. */
  readonly report: number;
  readonly suspected: Resources;
  /** What may be booked, less what is orphaned. */
  readonly limits: Resources;
  readonly tokenHash: string | null;
  readonly ip: string | null;
  readonly version: string;
  readonly bootId: string;
  readonly lastSeenAt: number | null;
  /** When the look began whose poll was saved last. */
  readonly polledAt: number | null;
  /** When the first of its present misses was. */
  readonly missingSince: number | null;
  /** When it changed between `up` and not `up`, oldest first. */
  readonly changes: readonly number[];
  readonly cordonedByAutomation: boolean;
  readonly createdAt: number;
}

export interface WatchRow {
  readonly watch: Watch;
  /** When automation closed hosts lately. */
  readonly cordons: readonly number[];
}

export type StoredAttempt = Omit<Attempt, 'at'> & { readonly at: string };

export interface VmRow {
  readonly id: string;
  readonly seq: number;
  readonly name: string;
  readonly path: string;
  readonly resources: Resources;
  readonly image: string | null;
  readonly users: readonly VmUser[];
  readonly constraints: Constraints;
  readonly requestHash: string;
  readonly desiredState: DesiredState;
  readonly state: VmState;
  readonly hostId: string | null;
  readonly reason: Reason | null;
  readonly attempts: readonly StoredAttempt[];
  readonly hasRun: boolean;
  readonly onHostLoss: OnHostLoss;
  readonly violations: readonly GroupRule[];
  readonly strategy: StrategyName | null;
  readonly waitUntil: number | null;
  readonly movingTo: string | null;
  readonly missingStrikes: number;
  readonly missingSince: number | null;
  readonly outdatedStrikes: number;
  readonly tries: number;
  readonly dueAt: number | null;
  readonly leaseOwner: string | null;
  readonly leaseUntil: number | null;
  /** What was wanted when the work was taken. */
  readonly leasedFor: DesiredState | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly deletedAt: number | null;
}

export interface ReservationRow extends Omit<
  Reservation,
  'host' | 'bookingId' | 'until' | 'createdAt'
> {
  readonly seq: number;
  readonly hostId: string;
  readonly until: number | null;
  readonly createdAt: number;
}

/** One of `vmId` and `reservationId` is null. */
export interface AllocationRow extends Omit<Allocation, 'vmId'> {
  readonly vmId: string | null;
  readonly reservationId: string | null;
}

export interface PendingReleaseRow extends LedgerBooking {
  readonly createdAt: number;
}

export interface FencedVmRow extends FencedVm {
  readonly hostId: string;
}

export interface OrphanRow {
  readonly hostId: string;
  readonly vmId: string;
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
  /** Reports in a row that named it. */
  readonly strikes: number;
  readonly assignment: number;
  readonly state: AgentVmState;
  readonly resources: Resources;
  readonly leaving: boolean;
}

export interface DrainRow {
  readonly hostId: string;
  readonly state: Drain['state'];
  readonly reason: string | null;
  readonly owner: string | null;
  /** What the host was, for a cancel. */
  readonly before: {
    readonly mode: HostMode;
    readonly reason: string | null;
    readonly owner: string | null;
    readonly until: number | null;
  };
  readonly triedAtSeq: number | null;
  readonly startedAt: number;
  readonly endedAt: number | null;
}

export interface MoveRow extends DrainMove {
  readonly hostId: string;
  readonly position: number;
}

export interface TokenRow extends Omit<NewToken, 'expiresInS'> {
  readonly seq: number;
  readonly createdBy: string;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  readonly usedAt: number | null;
  readonly usedBy: string | null;
}

export interface RequestRow {
  /** Of the table: scope and key of the request. */
  readonly key: string;
  readonly requestHash: string;
  readonly seed: string;
  readonly leaseOwner: string | null;
  readonly leaseUntil: number | null;
  readonly answer: StoredAnswer | null;
  readonly createdAt: number;
}

export interface LeaseRow {
  readonly holder: string;
  readonly until: number;
}

type StoredClass = Omit<SampledClass, 'bookedMax' | 'usedMax'> & Partial<SampledClass>;

export interface SampleRow {
  readonly scope: UsageScope;
  readonly id: string;
  readonly step: UsageStep;
  readonly at: number;
  readonly resources: Readonly<Record<string, StoredClass>>;
}

/** Facts are made when somebody reads them: few are ever read, and what they are made of stays. */
export type FactsLater = () => Facts;

/** A change that has no place among the events yet. */
export interface ChangeRow {
  readonly at: number;
  readonly kind: EventKind;
  readonly subjectId: string;
  readonly path: string | null;
  readonly hostId: string | null;
  readonly facts: FactsLater;
}

export interface EventRow extends ChangeRow {
  readonly position: number;
  readonly key: string;
}

/** Who makes the changes of a transaction, and what that is called. */
export interface Doing {
  readonly by: Actor;
  readonly action: AuditAction;
}

export interface AuditRow {
  readonly id: number;
  readonly at: number;
  readonly actor: Actor;
  readonly action: string;
  readonly subject: AuditSubject;
  readonly before: FactsLater | null;
  readonly after: FactsLater | null;
}
