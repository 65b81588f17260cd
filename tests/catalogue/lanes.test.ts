/** Shares of the connections: nobody takes all of them, and nobody waits for ever. */
import { describe, expect, it } from '@jest/globals';
import { Lane, lanesOf } from '../../src/catalogue/lanes.js';

const settings = { connectionsMax: 1, waitersMax: 1, waitMaxMs: 60_000, answerMaxMs: null };

describe('a lane', () => {
  it('lets in so many, the others in order of arrival', async () => {
    const lane = new Lane({ ...settings, waitersMax: 2 });
    await lane.enter();
    const order: string[] = [];
    const waiting = ['first', 'second'].map((name) => lane.enter().then(() => order.push(name)));
    lane.leave();
    await waiting[0];
    expect(order).toEqual(['first']);
    lane.leave();
    await Promise.all(waiting);
    expect(order).toEqual(['first', 'second']);
  });

  it('refuses at once who would be one too many to wait', async () => {
    const lane = new Lane(settings);
    await lane.enter();
    const second = lane.enter();
    await expect(lane.enter()).rejects.toThrow('timeout expired');
    lane.leave();
    await second;
  });

  it('refuses who has waited too long, and gives the place to the next one', async () => {
    const lane = new Lane({ ...settings, waitMaxMs: 5 });
    await lane.enter();
    await expect(lane.enter()).rejects.toThrow('timeout expired');
    lane.leave();
    await lane.enter();
  });
});

describe('lanes of a pool', () => {
  it.each([2, 3, 4, 10, 100])('leave each other room in a pool of %i', (poolMax) => {
    const lanes = Object.values(lanesOf(poolMax));
    expect(lanes.every(({ connectionsMax }) => connectionsMax >= 1)).toBe(true);
    const all = lanes.reduce((sum, { connectionsMax }) => sum + connectionsMax, 0);
    expect(all).toBeLessThanOrEqual(Math.max(poolMax, 4));
  });
});
