/** What waits for a place, and for which of it it is too late. */
import { describe, expect, it } from '@jest/globals';
import { PartyQueue } from '../../src/control/party-queue.js';
import type { Party } from '../../src/control/placing.js';

/** @param gone of each member, whether its caller has gone */
function party(deadline: number, gone: readonly boolean[]): Party {
  const members = gone.map((isGone, index) => ({
    request: {
      kind: 'create' as const,
      spec: {
        id: `vm-${index.toString()}`,
        name: 'vm',
        path: 'root',
        resources: { cpu: 1 },
        image: null,
        users: [],
        constraints: {},
        onHostLoss: 'keep' as const,
      },
      requestHash: '',
      avoid: [],
      by: null,
      isGone: () => isGone,
    },
    avoid: new Set<string>(),
    resolve: () => undefined,
    reject: () => undefined,
  }));
  return { set: null, members, deadline, staleEpochs: 0 };
}

describe('what is stale', () => {
  it('is whose time is over, and whose callers have all gone', () => {
    const queue = new PartyQueue();
    const [late, gone, halfGone, present] = [
      party(10, [false]),
      party(99, [true, true]),
      party(99, [true, false]),
      party(99, [false]),
    ];
    for (const one of [late, gone, halfGone, present]) queue.push(one);
    expect(queue.takeStale(10)).toEqual([late, gone]);
    expect(queue.size).toBe(3);
    expect(queue.takeAll()).toEqual([halfGone, present]);
    expect(queue.size).toBe(0);
  });
});
