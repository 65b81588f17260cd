/** Who is asked when, in virtual time: agents that hang make no live one late. */
import { describe, expect, it } from '@jest/globals';
import { askAll } from '../../src/control/ask-hosts.js';
import type { Alarm } from '../../src/model/ports.js';
import { VirtualClock } from '../../src/sim/virtual-clock.js';

const SLOTS = 64;
const DEADLINE_MS = 4_000;
const PERIOD_MS = 30_000;
/** As the health loop has it. */
const WITHIN = {
  slots: SLOTS,
  withinMs: PERIOD_MS / 2,
  spreadMs: PERIOD_MS / 3,
  givesWay: () => false,
  alarm: new AbortController().signal,
};
/** The longest pause. */
const PAUSE_MS = 250;
const LIVE_MS = 5;

interface Target {
  readonly at: number;
  readonly hangs: boolean;
  readonly missedPolls: number;
}

const targets = (count: number, of: (at: number) => Omit<Target, 'at'>): readonly Target[] =>
  Array.from({ length: count }, (_, at) => ({ at, ...of(at) }));

/** Asks them all. @returns the answers, when each live one was heard, and what it took */
/** @param lateMs by how much each pause ends late, as on a busy machine */
async function asking(all: readonly Target[], within = WITHIN, lateMs = 0) {
  const clock = new VirtualClock();
  const late = {
    monotonic: () => clock.monotonic(),
    sleep: (ms: number, alarm?: Alarm) => clock.sleep(ms + lateMs, alarm),
  };
  const heardMs: number[] = [];
  let open = 0;
  let openMax = 0;
  let endMs = NaN;
  const answers = askAll(late, all, within, async ({ at, hangs }) => {
    open += 1;
    openMax = Math.max(openMax, open);
    await clock.sleep(hangs ? DEADLINE_MS : LIVE_MS);
    open -= 1;
    if (!hangs) heardMs.push(clock.monotonic());
    return at;
  }).finally(() => {
    endMs = clock.monotonic();
  });
  await clock.runUntil(10 * PERIOD_MS);
  return { answers: await answers, heardMs, openMax, endMs };
}

describe('asking many agents', () => {
  it('hears 400 live hosts in good time while 600 hang, with a bound of open calls', async () => {
    // One in the way of the other, all thought to be well.
    const all = targets(1_000, (at) => ({ hangs: at % 5 < 3, missedPolls: 0 }));
    const { answers, heardMs, openMax, endMs } = await asking(all);
    expect(answers).toEqual(all.map(({ at }) => at));
    expect(heardMs).toHaveLength(400);
    expect(Math.max(...heardMs)).toBeLessThan(PERIOD_MS / 3);
    expect(endMs).toBeLessThan(PERIOD_MS / 2);
    // Moments of half a second that fit into the deadline, and the one that is under way.
    expect(openMax).toBeLessThanOrEqual(SLOTS * 9);
  });

  it('asks those who missed last time after those who answered', async () => {
    const all = targets(1_000, (at) => ({ hangs: at % 5 < 3, missedPolls: at % 5 < 3 ? 1 : 0 }));
    const { heardMs } = await asking(all);
    expect(Math.max(...heardMs)).toBe(Math.ceil(400 / SLOTS) * LIVE_MS);
  });

  it('hears 1,000 that return at once within a moment, never more than the slots at once', async () => {
    const all = targets(1_000, () => ({ hangs: false, missedPolls: 7 }));
    const { endMs, openMax } = await asking(all);
    expect(endMs).toBe(Math.ceil(1_000 / SLOTS) * LIVE_MS);
    expect(openMax).toBe(SLOTS);
  });

  it('is over in time even if more hang than fit, so that a look at them is no late one', async () => {
    const all = targets(20_000, () => ({ hangs: true, missedPolls: 0 }));
    const { endMs, openMax } = await asking(all);
    expect(endMs).toBeLessThanOrEqual(WITHIN.withinMs + DEADLINE_MS);
    expect(openMax).toBeLessThan(6_000);
  });

  describe('while VMs are placed', () => {
    const giving = { ...WITHIN, givesWay: () => true };

    it('asks at most a few at a stretch, and all of them in time', async () => {
      const all = targets(1_000, () => ({ hangs: false, missedPolls: 0 }));
      const { answers, heardMs, endMs } = await asking(all, giving);
      expect(answers).toEqual(all.map(({ at }) => at));
      expect(endMs).toBeLessThanOrEqual(PERIOD_MS / 3);
      const most = Math.max(
        ...heardMs.map((at) => heardMs.filter((other) => at <= other && other < at + 100).length),
      );
      expect(most).toBeLessThanOrEqual(25);
      expect(endMs).toBeGreaterThan(PERIOD_MS / 4);
    });

    it('is over in time even if more hang than fit', async () => {
      const all = targets(20_000, () => ({ hangs: true, missedPolls: 0 }));
      const { endMs } = await asking(all, giving);
      expect(endMs).toBeLessThanOrEqual(WITHIN.withinMs + DEADLINE_MS);
    });

    it('is in a hurry as soon as nobody waits any more', async () => {
      const all = targets(1_000, () => ({ hangs: false, missedPolls: 0 }));
      let asked = 0;
      const { endMs } = await asking(all, { ...WITHIN, givesWay: () => (asked += 1) <= 3 });
      expect(endMs).toBeLessThan(4 * PAUSE_MS);
    });

    it('keeps a small fleet waiting for a moment only', async () => {
      const all = targets(60, () => ({ hangs: false, missedPolls: 0 }));
      expect((await asking(all, giving)).endMs).toBeLessThan(3 * PAUSE_MS);
    });

    it('is over in time though every pause ends late', async () => {
      const all = targets(10_000, () => ({ hangs: false, missedPolls: 0 }));
      const { answers, endMs } = await asking(all, giving, 100);
      expect(answers).toHaveLength(10_000);
      expect(endMs).toBeLessThan(WITHIN.withinMs);
    });

    it('makes no pause when nobody is to wait for it any more', async () => {
      const stop = new AbortController();
      stop.abort();
      const all = targets(1_000, () => ({ hangs: false, missedPolls: 0 }));
      const { endMs } = await asking(all, { ...giving, alarm: stop.signal });
      expect(endMs).toBe(Math.ceil(1_000 / SLOTS) * LIVE_MS);
    });

    it('tells of an agent whose call fails in a pause', async () => {
      const clock = new VirtualClock();
      const all = targets(200, () => ({ hangs: false, missedPolls: 0 }));
      const answers = askAll(clock, all, giving, ({ at }) =>
        at === 3 ? Promise.reject(new Error('not a status')) : Promise.resolve(at),
      );
      const failed = expect(answers).rejects.toThrow('not a status');
      await clock.runUntil(PERIOD_MS);
      await failed;
    });
  });

  it('asks nobody when there is nobody', async () => {
    expect((await asking([])).answers).toEqual([]);
  });
});
