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

/** State after one poll. One good answer always makes a host `up`. */
export function afterPoll(before: Liveness, outcome: PollOutcome): Liveness {
  if (outcome === 'answered') return { state: 'up', missedPolls: 0 };
  const missedPolls = before.missedPolls + 1;
  if (missedPolls >= MISSED_POLLS_MAX || before.state === 'down') {
    return { state: 'down', missedPolls };
  }
  return { state: before.state === 'joining' ? 'joining' : 'suspect', missedPolls };
}
