/** The breaker of the fleet: when many missing hosts mean that we are cut off ourselves. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { closedMax, mayClose } from '../../src/model/automation-limit.js';
import {
  closedByWord,
  FIRST_WATCH,
  judgeLook,
  watchRules,
  type Judgement,
  type Watch,
  type WatchedHost,
} from '../../src/model/fleet-breaker.js';
import { afterPoll, HOST_STATES, type Liveness } from '../../src/model/host-liveness.js';

const RULES = watchRules(10, 1_000, { share: 0.3, hostsMin: 3 });

const fleet = (count: number, changes: Partial<WatchedHost> = {}): WatchedHost[] =>
  Array.from({ length: count }, (_, at) => ({
    id: `h${at.toString()}`,
    state: 'up',
    missingSince: null,
    ...changes,
  }));

const firstOf = (hosts: readonly WatchedHost[], count: number): ReadonlySet<string> =>
  new Set(hosts.slice(0, count).map(({ id }) => id));

const judge = (watch: Watch, hosts: readonly WatchedHost[], missing: number, askedAt = 100_000) =>
  judgeLook(watch, hosts, { askedAt, missed: firstOf(hosts, missing) }, RULES, askedAt + 10);

describe('the breaker', () => {
  it.each([
    [10, 3, null],
    [10, 4, 'opened'],
    [4, 2, null],
    [3, 3, 'opened'],
    [2, 2, null],
    [1_000, 300, null],
    [1_000, 301, 'opened'],
  ])('of %d hosts %d go missing: %s', (hosts, missing, change) => {
    expect(judge(FIRST_WATCH, fleet(hosts), missing).change).toBe(change);
  });

  it('counts no host that is joining, was down, or went missing before the window', () => {
    const joining = fleet(5, { state: 'joining' });
    const down = fleet(5, { state: 'down' });
    const long = fleet(5, { state: 'suspect', missingSince: 100_000 - RULES.windowMs });
    for (const hosts of [joining, down, long]) {
      expect(judge(FIRST_WATCH, hosts, 5)).toMatchObject({ change: null, held: false });
    }
  });

  it('counts hosts together that went missing one after another within the window', () => {
    const hosts = fleet(6).map((host, at) =>
      at < 3 ? { ...host, state: 'suspect' as const, missingSince: 80_000 + at * 5_000 } : host,
    );
    expect(judge(FIRST_WATCH, hosts, 3)).toMatchObject({ change: 'opened', held: true });
  });

  it('closes when enough answer again, and by the word of an operator for those that are lost', () => {
    const hosts = fleet(10);
    const { watch } = judge(FIRST_WATCH, hosts, 6);
    const gone = hosts.map((host, at) =>
      at < 6 ? { ...host, state: 'suspect' as const, missingSince: 100_000 } : host,
    );
    expect(judge(watch, gone, 6, 110_000)).toMatchObject({ change: null, held: true });
    expect(judge(watch, gone, 3, 110_000)).toMatchObject({ change: 'closed', held: true });
    const word = closedByWord(watch, 'they burnt', 105_000);
    expect(judge(word, gone, 6, 110_000)).toMatchObject({ change: null, held: false });
    const more = gone.map((host) => ({ ...host, state: 'suspect' as const }));
    expect(judge(word, more, 10, 110_000)).toMatchObject({ change: 'opened' });
  });

  it('spares all after a gap, not after a look that comes when it should', () => {
    const seen = { ...FIRST_WATCH, lookedAt: 90_000, finishedAt: 90_100 };
    expect(judge(seen, fleet(2), 2).held).toBe(false);
    const after = judge({ ...seen, finishedAt: 80_000 }, fleet(2), 2);
    expect(after.held).toBe(true);
    expect(after.watch.graceUntil).toBe(100_010 + RULES.graceMs);
  });

  it('is not closed by hosts that join or return meanwhile', () => {
    const { watch } = judge(FIRST_WATCH, fleet(10), 4);
    expect(watch).toMatchObject({ isOpen: true, hosts: 10, missing: 4 });
    const grown = judge(watch, fleet(40), 4, 110_000);
    expect(grown).toMatchObject({ change: null, watch: { isOpen: true, hosts: 10, missing: 4 } });
    expect(judge(grown.watch, fleet(40), 3, 120_000).change).toBe('closed');
    const more = judge(grown.watch, fleet(40), 20, 120_000);
    expect(more.watch).toMatchObject({ isOpen: true, hosts: 20, missing: 20 });
  });

  it('goes on at once when the clock has gone back, and spares all', () => {
    const hour = 3_600_000;
    const at = 100_000 + hour;
    const ahead: Watch = {
      ...FIRST_WATCH,
      lookedAt: at,
      finishedAt: at,
      graceUntil: at + RULES.graceMs,
      dismissedAt: at,
      anewAt: at,
    };
    const { kind, held, watch } = judge(ahead, fleet(2), 2);
    expect([kind, held]).toEqual(['judged', true]);
    expect(watch.graceUntil).toBe(100_010 + RULES.graceMs);
    expect(watch.anewAt).toBe(100_010);
    const later = judge({ ...watch, finishedAt: 200_000 }, fleet(2), 2, 200_100);
    expect(later).toMatchObject({ kind: 'judged', held: false });
    const open = { ...ahead, isOpen: true, changedAt: at, hosts: 10 };
    const gone = fleet(10, { state: 'suspect', missingSince: at });
    expect(judge(open, gone, 6)).toMatchObject({ change: null, held: true });
    expect(judge(open, gone, 0)).toMatchObject({ change: 'closed' });
  });

  it('takes a look that was overtaken for nothing, and one that was held up for a gap', () => {
    const seen = { ...FIRST_WATCH, lookedAt: 100_001, finishedAt: 100_100 };
    const stale = judge(seen, fleet(10), 10);
    expect(stale).toMatchObject({ kind: 'stale', change: null, watch: seen });
    const look = { askedAt: 100_000, missed: firstOf(fleet(10), 10) };
    const late = judgeLook(FIRST_WATCH, fleet(10), look, RULES, 100_001 + RULES.lookMsMax);
    expect(late).toMatchObject({ kind: 'late', held: true, change: null });
  });

  it('lets no host that is missed in a held look be more than suspect', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...HOST_STATES),
        fc.nat(5),
        fc.array(fc.boolean(), { maxLength: 10 }),
        (state, missedPolls, looks) => {
          let host: Liveness = { state, missedPolls };
          for (const answered of looks) {
            const after = afterPoll(host, answered ? 'answered' : 'missed', true);
            if (host.state !== 'down') expect(after.state).not.toBe('down');
            host = after;
          }
        },
      ),
    );
  });

  it('is open after a look exactly when more than the share, and enough, are missing', () => {
    fc.assert(
      fc.property(fc.nat(60), fc.nat(60), fc.boolean(), (size, missing, isOpen) => {
        const changedAt = isOpen ? 95_000 : null;
        const before = { ...FIRST_WATCH, isOpen, changedAt, hosts: size };
        const after: Judgement = judge(before, fleet(size), missing);
        const gone = Math.min(size, missing);
        expect(after.watch.isOpen).toBe(gone >= 3 && gone > 0.3 * size);
        expect(after.change !== null).toBe(after.watch.isOpen !== isOpen);
        if (after.watch.isOpen) expect(after.held).toBe(true);
      }),
    );
  });
});

describe('the limit of automation', () => {
  it.each([
    [1, 1],
    [19, 1],
    [20, 2],
    [1_000, 100],
  ])('of %d hosts at most %d are closed', (hosts, most) => {
    expect(closedMax(hosts)).toBe(most);
    expect(mayClose(hosts, 0, 0)).toBe(most);
    expect(mayClose(hosts, most, 0)).toBe(0);
    expect(mayClose(hosts, 0, most)).toBe(0);
    expect(mayClose(hosts, most + 5, 0)).toBe(0);
  });
});
