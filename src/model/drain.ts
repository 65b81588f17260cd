/**
 * A drain: a host is emptied by moving its VMs to others, one after another. The plan says where
 * each would go; each move says what became of it.
 */
import type { DecisionSummary, HostRef } from './decision.js';

/** `planned` is only ever shown by a dry run. */
export const DRAIN_STATES = ['planned', 'draining', 'done', 'cancelled'] as const;
export type DrainState = (typeof DRAIN_STATES)[number];

/**
 * - `planned`: waits for its turn.
 * - `moving`: it is on its way, or being made at its target.
 * - `moved`: it is no longer here; also when it went by itself.
 * - `blocked`: no host can take it now, or this one does not answer; tried again by itself.
 * - `cancelled`: it stays.
 */
export const MOVE_STATES = ['planned', 'moving', 'moved', 'blocked', 'cancelled'] as const;
export type MoveState = (typeof MOVE_STATES)[number];

export interface DrainMove {
  readonly vm: HostRef;
  readonly state: MoveState;
  /** Where the plan wants it; null when it had no place for it. */
  readonly planned: HostRef | null;
  /** Where it goes or has gone; null while that is open, and for what went by itself. */
  readonly target: HostRef | null;
  /** What a person should know: why it is blocked, why it went elsewhere than planned. */
  readonly detail: string | null;
  /** Why no host can take it. */
  readonly summary: DecisionSummary | null;
}

export interface Drain {
  readonly host: HostRef;
  readonly state: DrainState;
  readonly reason: string | null;
  readonly owner: string | null;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  /** In the order in which they are moved. */
  readonly moves: readonly DrainMove[];
}
