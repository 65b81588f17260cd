/** Finds hosts for a party on the mirror of the fleet: for all of its members, or for none. */
import type { Constraints } from '../model/constraints.js';
import type { DecisionSummary } from '../model/decision.js';
import { membershipsOf } from '../model/groups.js';
import type { LedgerBooking } from '../model/ports.js';
import { choose, type Decision } from '../placement/choose.js';
import { rankedAmounts } from '../placement/ranked-classes.js';
import type { HostTable } from '../placement/host-table.js';
import { rankedBy } from '../placement/strategies.js';
import type { Ranking } from '../placement/strategy.js';
import type { Booked, FreedBooking, Party, Pending } from './placing.js';

export interface PlaceContext {
  readonly ranking: Ranking;
  readonly at: Date;
  newId(): string;
}

export type PartyProposal =
  | { readonly kind: 'placed'; readonly members: readonly Booked[] }
  /** The member that finds no host beside those before it. */
  | { readonly kind: 'nowhere'; readonly culprit: number; readonly summary: DecisionSummary };

type Found =
  | { readonly kind: 'placed'; readonly booked: Booked }
  | { readonly kind: 'nowhere'; readonly summary: DecisionSummary };

/** Books what it finds in the mirror; when a member finds nothing, the mirror is as before. */
export function placeParty(
  fleet: HostTable,
  { set, members }: Party,
  context: PlaceContext,
): PartyProposal {
  const found: Booked[] = [];
  for (const [culprit, pending] of members.entries()) {
    let one: Found;
    try {
      one = placeOne(fleet, pending, set, context);
    } catch (error) {
      for (const booked of found.reverse()) takeBack(fleet, booked);
      throw error;
    }
    if (one.kind === 'nowhere') {
      for (const booked of found.reverse()) takeBack(fleet, booked);
      return { kind: 'nowhere', culprit, summary: one.summary };
    }
    found.push(one.booked);
  }
  return { kind: 'placed', members: found };
}

function placeOne(
  fleet: HostTable,
  pending: Pending,
  set: string | null,
  context: PlaceContext,
): Found {
  const { spec, strategy, frees = [] } = pending.request;
  const ranking = rankedBy(context.ranking, strategy);
  for (const freed of frees) change(fleet, freed, 'unbook');
  ranking.large?.note(rankedAmounts(spec.resources));
  let decision: Decision | null = null;
  try {
    decision = choose(
      fleet,
      { resources: spec.resources, path: spec.path, constraints: constraintsOf(pending) },
      ranking,
    );
  } finally {
    if (decision?.kind !== 'placed') for (const freed of frees) change(fleet, freed, 'book');
  }
  if (decision.kind === 'nowhere') return decision;
  const host = fleet.factsAt(decision.row);
  const groups = membershipsOf(spec.path, spec.constraints.groups);
  fleet.book(decision.row, spec.resources, groups);
  return {
    kind: 'placed',
    booked: {
      pending,
      booking: {
        bookingId: context.newId(),
        vmId: spec.id,
        hostId: host.id,
        path: spec.path,
        resources: spec.resources,
        groups,
        frees: frees.map(bookingOf),
        set,
      },
      attempt: {
        host: { id: host.id, name: host.name },
        at: context.at,
        outcome: 'placed',
        detail: `${ranking.strategy.name} ${decision.score.toFixed(4)}, ${bestOf(ranking)} of ${decision.feasible.toString()}`,
      },
      violations: decision.violations,
    },
  };
}

const bestOf = ({ top }: Ranking): string =>
  top === undefined ? 'best' : `one of the best ${top.count.toString()}`;

function takeBack(fleet: HostTable, { booking, pending }: Booked): void {
  change(fleet, booking, 'unbook');
  for (const freed of pending.request.frees ?? []) change(fleet, freed, 'book');
}

/** A host that is not in the fleet (any more) has nothing to change. */
function change(
  fleet: HostTable,
  { hostId, resources, groups }: Pick<FreedBooking, 'hostId' | 'resources' | 'groups'>,
  how: 'book' | 'unbook',
): void {
  const row = fleet.rowOf(hostId);
  if (row >= 0) fleet[how](row, resources, groups);
}

/** What the spec says, and what this try adds to it. */
function constraintsOf({ request, avoid }: Pending): Constraints {
  const { constraints } = request.spec;
  if (avoid.size === 0 && request.onHost === undefined) return constraints;
  return {
    ...constraints,
    exclude: [...(constraints.exclude ?? []), ...avoid],
    ...(request.onHost === undefined ? {} : { host: request.onHost }),
  };
}

const bookingOf = ({ bookingId, vmId, hostId }: LedgerBooking): LedgerBooking => ({
  bookingId,
  vmId,
  hostId,
});
