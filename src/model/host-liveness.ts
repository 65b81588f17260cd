/**
 * Whether a host answers. Pure; the health loop feeds it.
 *
 *   joining ──answer──► up ──miss──► suspect ──third miss in a row──► down
 *      │                ▲               │                              │
 *      └──third miss──► │ ◄───answer────┴───────────answer─────────────┘
 *           down        │
 */

export const HOST_STATES = ['joining', 'up', 'suspect', 'down'] as const;
export type HostState = (typeof HOST_STATES)[number];

export type PollOutcome = 'answered' | 'missed';

/** Polls missed in a row that make a host `down`. */
export const MISSED_POLLS_MAX = 3;

export interface Liveness {
  readonly state: HostState;
  readonly missedPolls: number;
}

/**
 * State after one poll. One good answer always makes a host `up`.
 * @param held a miss may be our own fault: it makes no host more than `suspect`, and does not count
 *   further; see fleet-breaker.ts
 */
export function afterPoll(before: Liveness, outcome: PollOutcome, held = false): Liveness {
  if (outcome === 'answered') return { state: 'up', missedPolls: 0 };
  if (held) {
    return before.state === 'up'
      ? { state: 'suspect', missedPolls: 1 }
      : { state: before.state, missedPolls: before.missedPolls };
  }
  const missedPolls = before.missedPolls + 1;
  if (missedPolls >= MISSED_POLLS_MAX || before.state === 'down') {
    return { state: 'down', missedPolls };
  }
  return { state: before.state === 'joining' ? 'joining' : 'suspect', missedPolls };
}
