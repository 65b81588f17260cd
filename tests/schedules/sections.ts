/**
 * Critical sections under every order of their steps that a random scheduler comes upon: two or three
 * actors each, and the step of each may come before or after that of any other. As functions of the
 * part that may have a bug, so that it can be shown that they bite.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { answeredOnce } from '../../src/api/idempotency.js';
import type { Exchange } from '../../src/api/exchange.js';
import { Loop } from '../../src/control/loop.js';
import { DomainError } from '../../src/model/errors.js';
import { factsOf, type Host } from '../../src/model/host.js';
import type { Clock, Ledger } from '../../src/model/ports.js';
import type { IdempotencyStore } from '../../src/model/stores/idempotency.js';
import type { HostTable } from '../../src/placement/host-table.js';
import { catalogueDouble } from '../../src/sim/catalogue/catalogue.js';
import { LedgerBooks } from '../../src/sim/ledger-books.js';
import { createLedgerDouble } from '../../src/sim/ledger-double.js';
import type { Link } from '../../src/sim/link.js';
import {
  allocationOf,
  bookedIn,
  bookingOf,
  hostWith,
  propose,
  rebuilt,
  snapshotOf,
} from '../ledger/builders.js';
import { silentLog } from '../support/log.js';

/** A step that begins, and is heard of, when the scheduler says so. */
const stepsOf =
  (s: fc.Scheduler): Link =>
  async (site, effect) => {
    await s.schedule(Promise.resolve(), site);
    const result = await effect();
    await s.schedule(Promise.resolve(), `${site} is heard of`);
    return result;
  };

/** Time that goes on only while somebody sleeps. */
function sleepers(s: fc.Scheduler): Clock {
  let nowMs = 0;
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    async sleep(ms) {
      await s.schedule(Promise.resolve(), 'sleep');
      nowMs += ms;
    },
  };
}

// ── Turns of the placement lock. ────────────────────────────────────────────────────────────────

/** Three VMs want a host that has room for two; each comes to its own replica. */
const ROOM = 2;
const REPLICAS = 3;

/** Books with these hosts and no bookings. */
function fill(books: LedgerBooks, hosts: readonly Host[]): void {
  books.stage('first', 1, { hosts: hosts.map(factsOf), gone: [], allocations: [] });
  books.swap('first', { epoch: 1, highWater: 0, parts: 1 });
}

/** No order of the steps of three turns books more than there is, and all mirrors agree at the end. */
export const turnsBookWhatThereIs = (
  booksAt: (clock: Clock) => LedgerBooks = (clock) => new LedgerBooks(() => clock.now()),
) =>
  fc.asyncProperty(fc.scheduler(), async (s) => {
    const clock = sleepers(s);
    const books = booksAt(clock);
    fill(books, [hostWith('a', { cpu: ROOM })]);
    const ledgers = Array.from({ length: REPLICAS }, (_, at) =>
      createLedgerDouble({
        books,
        link: stepsOf(s),
        clock,
        newId: () => `turn of ${at}`,
        random: () => 0.5,
        lockLeaseMs: LEASE_MS,
      }),
    );
    const said = Promise.all(ledgers.map((ledger, at) => bookOne(ledger, `vm-${at}`)));
    await s.waitFor(said);
    const booked = (await said).filter((kind) => kind === 'booked').length;
    const { size } = books.held;
    assert.ok(size <= ROOM, `${size} are booked`);
    // Who was refused or not told may stand nevertheless; who was told stands.
    assert.ok(booked <= size, `${booked} were told, ${size} stand`);
    const views = Promise.all(ledgers.map((ledger) => ledger.view()));
    await s.waitFor(views);
    for (const view of await views) {
      assert.deepEqual(bookedIn(view), { a: size === 0 ? {} : { cpu: size } });
    }
    assert.equal(books.totals().get('a')?.cpu ?? 0, size);
  });

/** Short, so that it runs out while its holder waits. */
const LEASE_MS = 100;

async function bookOne(ledger: Ledger<HostTable>, vmId: string): Promise<string> {
  try {
    const turn = await ledger.openTurn();
    try {
      const row = turn.fleet.rowOf('a');
      if ((turn.fleet.allocatedAt(row).cpu ?? 0) >= ROOM) return 'full';
      const { outcomes } = await propose(turn, [bookingOf(vmId, 'a', { cpu: 1 })]);
      return outcomes[0]?.kind ?? 'nothing';
    } finally {
      await turn.end();
    }
  } catch (error) {
    if (error instanceof DomainError) return error.code;
    throw error;
  }
}

// ── A booking on its way, and a rebuild beside it. ──────────────────────────────────────────────

/** Whatever the order, a rebuilt ledger has what was recorded before its snapshot was taken. */
export const rebuildsKeepBookings = () =>
  fc.asyncProperty(fc.scheduler(), async (s) => {
    const clock = sleepers(s);
    const books = new LedgerBooks(() => clock.now());
    const hosts = [hostWith('a', { cpu: 10 })];
    fill(books, hosts);
    const open = (name: string) =>
      createLedgerDouble({
        books,
        link: stepsOf(s),
        clock,
        newId: () => name,
        random: () => 0.5,
      });
    const recorded = [allocationOf(bookingOf('old', 'a', { cpu: 3 }))];
    const [placer, builder, other] = [open('placer'), open('builder'), open('other')];
    const all = Promise.all([
      bookOne(placer, 'new'),
      rebuilt(builder, 2, 5, snapshotOf(hosts, recorded)),
      rebuilt(other, 2, 5, snapshotOf(hosts, recorded)),
    ]);
    await s.waitFor(all);
    const [, first, second] = await all;
    assert.equal([first, second].filter((one) => one !== null).length, 1);
    assert.equal(books.held.get('old')?.bookingId, 'old-first');
    const view = placer.view();
    await s.waitFor(view);
    assert.deepEqual(bookedIn(await view), { a: books.totals().get('a') });
  });

// ── An Idempotency-Key. ─────────────────────────────────────────────────────────────────────────

const TRIES = 3;

/** A store as it is reached: each call is a step. */
const reached = (store: IdempotencyStore, link: Link): IdempotencyStore => ({
  beginRequest: (...args) => link('begin', () => store.beginRequest(...args)),
  extendRequest: (...args) => store.extendRequest(...args),
  keepAnswer: (...args) => link('keep', () => store.keepAnswer(...args)),
  reopenRequest: (...args) => link('reopen', () => store.reopenRequest(...args)),
  forgetRequest: (...args) => link('forget', () => store.forgetRequest(...args)),
  purgeRequests: (...args) => store.purgeRequests(...args),
});

const exchangeWith = (key: string) => ({
  principal: { who: 'operator', actor: { kind: 'token', id: 't', name: 't' }, path: null },
  requestId: 'r',
  log: silentLog,
  stableId: (_index: number): string | undefined => undefined,
  header: (name: string) => (name === 'idempotency-key' ? key : undefined),
  setHeader: () => undefined,
});

const bodyOf = (cpu: number) => ({
  method: 'POST',
  path: '/v1/vms',
  input: { body: { cpu }, queryString: '', params: {}, headers: {} },
});

/**
 * However the tries of one request overlap, its effect is that of one id, and all answers that are
 * given are equal; another body under its key has no effect.
 */
export const keysHaveOneEffect = (
  broken: (store: IdempotencyStore, link: Link) => IdempotencyStore = reached,
) =>
  fc.asyncProperty(fc.scheduler(), fc.boolean(), async (s, hasOther) => {
    let ids = 0;
    const newId = () => `id-${(ids += 1)}`;
    const { catalogue } = catalogueDouble({ clock: { now: () => 0 }, newId });
    const link = stepsOf(s);
    const store = broken(catalogue, link);
    const made = new Map<string, number>();
    const ask = async (cpu: number): Promise<string> => {
      const exchange = exchangeWith('key');
      try {
        const answer = await answeredOnce(
          bodyOf(cpu),
          exchange as unknown as Exchange,
          store,
          async () => {
            const id = exchange.stableId(0) ?? newId();
            await link('effect', () => made.set(id, cpu));
            return { status: 202, json: { id } };
          },
        );
        return 'json' in answer ? JSON.stringify(answer.json) : 'text' in answer ? answer.text : '';
      } catch (error) {
        if (error instanceof DomainError) return error.code;
        throw error;
      }
    };
    const bodies = Array.from({ length: TRIES }, (_, at) => (hasOther && at === 1 ? 2 : 1));
    const said = Promise.all(bodies.map(ask));
    await s.waitFor(said);
    const answers = (await said).filter((one) => one.startsWith('{'));
    assert.equal(made.size, 1, `${made.size} were made`);
    assert.equal(new Set(answers).size, 1);
    const [cpu] = made.values();
    (await said).forEach((one, at) => {
      assert.ok(bodies[at] === cpu || !one.startsWith('{'), 'another body got the answer');
    });
  });

// ── A loop that is poked and stopped. ───────────────────────────────────────────────────────────

const POKES = 3;

/** Every poke is followed by a look that begins after it; after the stop there is none. */
export const pokesAreHeard = () =>
  fc.asyncProperty(fc.scheduler(), async (s) => {
    let looks = 0;
    let isStopped = false;
    const heard: number[] = [];
    const loop = new Loop({
      // Sleeps end when they are cut short, and never by themselves: a poke that is lost shows.
      clock: {
        sleep: (_ms: number, signal?: AbortSignal) =>
          new Promise((resolve) => {
            if (signal?.aborted === true) resolve();
            signal?.addEventListener('abort', () => {
              resolve();
            });
          }),
        now: () => 0,
        monotonic: () => 0,
      },
      tickMs: 1_000,
      async look() {
        assert.ok(!isStopped, 'it looks after its stop');
        looks += 1;
        await s.schedule(Promise.resolve(), 'look');
        return false;
      },
      onFailure(error) {
        throw error;
      },
    });
    loop.start();
    const poked = Promise.all(
      Array.from({ length: POKES }, async (_, at) => {
        await s.schedule(Promise.resolve(), `poke ${at}`);
        heard.push(looks);
        loop.poke();
      }),
    );
    await s.waitFor(poked);
    await s.waitIdle();
    const last = Math.max(...heard);
    assert.ok(looks > last, `poked after look ${last}, and ${looks} there were`);
    const stopped = loop.stop();
    await s.waitFor(stopped);
    isStopped = true;
    loop.poke();
    await s.waitIdle();
  });

export const SECTIONS = {
  'turns of the lock': turnsBookWhatThereIs,
  'a rebuild beside a booking': rebuildsKeepBookings,
  'an Idempotency-Key': keysHaveOneEffect,
  'a loop': pokesAreHeard,
} as const;
