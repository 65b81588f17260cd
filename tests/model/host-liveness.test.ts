/** Liveness of hosts, as a complete table of states and polls. */
import { describe, expect, it } from '@jest/globals';
import {
  afterPoll,
  HOST_STATES,
  type HostState,
  type PollOutcome,
} from '../../src/model/host-liveness.js';

/** State after one poll, for a host that has missed none (or, when down, all) before. */
const AFTER_ONE: Readonly<Record<HostState, Readonly<Record<PollOutcome, HostState>>>> = {
  joining: { answered: 'up', missed: 'joining' },
  up: { answered: 'up', missed: 'suspect' },
  suspect: { answered: 'up', missed: 'suspect' },
  down: { answered: 'up', missed: 'down' },
};

describe('liveness', () => {
  for (const state of HOST_STATES) {
    it.each<PollOutcome>(['answered', 'missed'])(`${state}, %s`, (outcome) => {
      expect(afterPoll({ state, missedPolls: 0 }, outcome).state).toBe(AFTER_ONE[state][outcome]);
    });
  }

  it.each<HostState>(['joining', 'up'])('%s is down after three missed polls in a row', (state) => {
    let liveness = { state, missedPolls: 0 };
    for (let poll = 0; poll < 2; poll += 1) liveness = afterPoll(liveness, 'missed');
    expect(liveness.state).not.toBe('down');
    expect(afterPoll(liveness, 'missed')).toEqual({ state: 'down', missedPolls: 3 });
  });

  it('forgets missed polls with one answer', () => {
    const twice = { state: 'suspect' as const, missedPolls: 2 };
    expect(afterPoll(twice, 'answered')).toEqual({ state: 'up', missedPolls: 0 });
  });
});
