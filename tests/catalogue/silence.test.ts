/** A database that hangs is found out once, and not by every caller anew. */
import { describe, expect, it } from '@jest/globals';
import { Lane } from '../../src/catalogue/lanes.js';
import { Silence } from '../../src/catalogue/silence.js';

function watched() {
  const now = { ms: 0 };
  let begun = 0;
  const silence = new Silence(
    () => (begun += 1),
    () => now.ms,
  );
  return { now, silence, begun: () => begun, ask: () => silence.patienceMs(1_400) };
}

describe('silence', () => {
  it('does not begin while others are answered: one statement is slow', () => {
    const { now, silence, begun, ask } = watched();
    silence.heard();
    now.ms = 999;
    silence.unheard();
    expect(begun()).toBe(0);
    expect([ask(), ask()]).toEqual([1_400, 1_400]);
  });

  it('begins once when nobody was answered for a second, and lets one ask now and then', () => {
    const { now, silence, begun, ask } = watched();
    silence.heard();
    now.ms = 1_000;
    silence.unheard();
    silence.unheard();
    expect(begun()).toBe(1);
    expect([ask(), ask()]).toEqual([500, 0]);
    now.ms += 249;
    expect(ask()).toBe(0);
    now.ms += 1;
    expect([ask(), ask()]).toEqual([500, 0]);
  });

  it('ends with the first answer', () => {
    const { silence, begun, ask } = watched();
    silence.unheard();
    ask();
    silence.heard();
    expect([ask(), ask()]).toEqual([1_400, 1_400]);
    expect(begun()).toBe(1);
  });
});

it('who waits in a lane is refused when there will be no answer, and the place stays whole', async () => {
  const lane = new Lane({ connectionsMax: 1, waitersMax: 5, waitMaxMs: 60_000, answerMaxMs: 1 });
  await lane.enter();
  const waiting = [lane.enter(), lane.enter()];
  lane.refuseWaiting();
  const ends = await Promise.allSettled(waiting);
  expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  lane.leave();
  await lane.enter();
});
