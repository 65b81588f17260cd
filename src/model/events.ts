/** Events: what has changed, in an order that all readers share, and how it is told apart. */
import type { Facts } from './audit.js';

export const EVENT_KINDS = [
  'vm.created',
  'vm.changed',
  'vm.deleted',
  'host.joined',
  'host.changed',
  'host.retired',
  'reservation.created',
  'reservation.ended',
  'fleet.breaker_opened',
  'fleet.breaker_closed',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** One change, with the facts as they were right after it. */
export interface FleetEvent {
  /** Order among all events; says how much happens in the fleet, so it is shown to nobody. */
  readonly position: number;
  /** What readers know it by, and resume after. */
  readonly key: string;
  readonly at: Date;
  readonly kind: EventKind;
  readonly subjectId: string;
  readonly path: string | null;
  readonly hostId: string | null;
  readonly facts: Facts;
}

/** What is absent does not filter. */
export interface EventFilter {
  readonly vmId?: string | undefined;
  readonly hostId?: string | undefined;
  /** This path and what lies below it. */
  readonly path?: string | undefined;
  readonly kinds?: readonly EventKind[] | undefined;
}

/** A place between two events: right after the one with this key. */
export interface EventPlace {
  readonly position: number;
  readonly key: string;
}
