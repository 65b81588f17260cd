/**
 * What `verify` may find wrong: codes that keep their meaning once published. docs/verify.md
 * explains each of them, and a test compares the two.
 */

/**
 * What mends a finding.
 * - `recount`: what a host carries is counted anew from its allocations.
 * - `end`: what holds room for nobody is ended.
 * - `regroup`: members of groups are written anew from the allocation.
 * - `renumber`: the sequence goes on above the highest assignment.
 * - `release`: the ledger gives back what nobody has recorded.
 * - `rebuild`: the ledger is made anew from the catalogue.
 */
export const REPAIRS = ['recount', 'end', 'regroup', 'renumber', 'release', 'rebuild'] as const;
export type Repair = (typeof REPAIRS)[number];

/** Every code with what mends it; null where only people can tell what is right. */
export const FINDING_REPAIRS = {
  host_sums: 'recount',
  vm_without_booking: null,
  booking_of_gone_vm: 'end',
  booking_elsewhere: null,
  reservation_without_booking: 'end',
  reservation_overdue: 'end',
  group_members: 'regroup',
  assignment_ahead: 'renumber',
  ledger_unsettled: 'rebuild',
  ledger_sums: 'rebuild',
  ledger_drift: 'rebuild',
  ledger_groups: 'rebuild',
  ledger_host_missing: 'rebuild',
  booking_missing: 'rebuild',
  booking_differs: 'rebuild',
  booking_unrecorded: 'release',
  vm_absent: null,
  vm_orphan: null,
  row_set_aside: null,
} as const satisfies Record<string, Repair | null>;

export type FindingCode = keyof typeof FINDING_REPAIRS;

export const FINDING_CODES = Object.keys(FINDING_REPAIRS) as readonly FindingCode[];

export const SUBJECT_KINDS = ['host', 'vm', 'reservation', 'group', 'ledger', 'sequence'] as const;

export interface FindingSubject {
  readonly kind: (typeof SUBJECT_KINDS)[number];
  readonly id: string;
  readonly name?: string;
}

/** Amounts by class, or named facts. */
export type FindingFacts = Readonly<Record<string, number | string>>;

/** Something that is wrong, in one of the stores or between them. */
export interface VerifyFinding {
  readonly code: FindingCode;
  readonly subject: FindingSubject;
  readonly detail: string;
  readonly expected?: FindingFacts;
  readonly found?: FindingFacts;
}
