/** The catalogue on a real PostgreSQL: its contract, and what only several sessions can show. */
import { TESTER } from '../support/callers.js';
import { modePatch } from '../support/hosts.js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import pg from 'pg';
import { openCatalogue } from '../../src/catalogue/catalogue.js';
import { connect } from '../../src/catalogue/connection.js';
import type { Catalogue } from '../../src/model/ports.js';
import { silentLog } from '../support/log.js';
import { freshDatabase } from '../support/postgres.js';
import {
  expectBalanced,
  failureOf,
  hostNow,
  itemFor,
  outcomeKinds,
  placedVm,
  recordAll,
  take,
  takeAll,
  upHost,
  saveOne,
} from './builders.js';
import { describeCatalogue } from './catalogue-contract.js';

const open = (databaseUrl: string, options: { readonly statementTimeoutMs?: number } = {}) =>
  openCatalogue({ databaseUrl }, { log: silentLog, missingGraceMs: 0, ...options });

describeCatalogue(
  'PostgreSQL',
  async () => {
    const catalogue = await open(await freshDatabase());
    return { catalogue, close: () => catalogue.close() };
  },
  30_000,
);

describe('the catalogue on PostgreSQL', () => {
  let url: string;
  let catalogue: Catalogue;
  let other: Catalogue;
  let operator: pg.Client;
  beforeAll(async () => {
    url = await freshDatabase();
    operator = new pg.Client({ connectionString: url });
    await operator.connect();
    // A deadlock that is broken soon is tried again, and nobody would notice it. Here it lasts until
    // the statement has taken too long, and the call fails.
    const name = new URL(url).pathname.slice(1);
    await operator.query(`alter database "${name}" set deadlock_timeout = '10min'`);
    // Both at once on an empty database: one makes the schema, the other waits for it.
    [catalogue, other] = await Promise.all([open(url), open(url)]);
  }, 30_000);
  afterAll(async () => {
    await operator.end();
    await catalogue.close();
    await other.close();
  });

  it('tells of bookings that began or ended in a transaction that was under way at the mark', async () => {
    const host = await upHost(catalogue);
    const [ending, beginning] = [await placedVm(catalogue, host), await placedVm(catalogue, host)];
    const [kept] = (await catalogue.snapshot()).allocations.filter(
      ({ vmId }) => vmId === beginning.id,
    );
    await operator.query('delete from allocations where vm_id = $1', [beginning.id]);
    await operator.query('begin');
    await operator.query(
      `insert into allocations (booking_id, vm_id, assignment, host_id, path, resources)
       values ($1, $2, $3, $4, 'root', '{"cpu": 1}')`,
      [kept?.bookingId, beginning.id, kept?.assignment, host.id],
    );
    await operator.query('delete from allocations where vm_id = $1', [ending.id]);
    const mark = await catalogue.mark();
    // Later transactions that are over before.
    const between = await placedVm(catalogue, host);
    const early = await catalogue.changesSince(mark, new Map());
    expect(early.allocations.map(({ vmId }) => vmId)).toContain(between.id);
    expect(early.gone.map(({ vmId }) => vmId)).not.toContain(ending.id);
    await operator.query('commit');
    for (const since of [mark, early.mark]) {
      const changes = await catalogue.changesSince(since, new Map());
      expect(changes.allocations.map(({ vmId }) => vmId)).toContain(beginning.id);
      expect(changes.gone.map(({ vmId }) => vmId)).toContain(ending.id);
    }
  });

  /** Ends every session of the catalogues in the middle of whatever they do. */
  const killSessions = async (): Promise<number> => {
    const { rowCount } = await operator.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    );
    return rowCount ?? 0;
  };

  /** Waits until so many sessions wait for a lock. */
  const waiting = async (sessions: number): Promise<void> => {
    for (;;) {
      const { rows } = await operator.query<{ found: number }>(
        `select count(*)::integer as found from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'`,
      );
      if (rows[0]!.found >= sessions) return;
    }
  };

  /** Waits until the pool has found out about the sessions that were killed. */
  const answering = async (killed: Catalogue): Promise<void> => {
    const ask = () =>
      killed.ping().then(
        () => true,
        () => false,
      );
    while (!(await ask()));
  };

  it('opens a database that is up to date without changing it', async () => {
    const before = await catalogue.epoch();
    const again = await open(url);
    expect(await again.epoch()).toEqual(before);
    await again.close();
    await again.close();
  });

  it('records batches of two replicas on the same hot hosts without a deadlock', async () => {
    const hosts = await Promise.all(Array.from({ length: 8 }, () => upHost(catalogue)));
    const released: Promise<unknown>[] = [];
    await Promise.all(
      Array.from({ length: 40 }, async (_none, round) => {
        const order = round % 2 === 0 ? hosts : hosts.toReversed();
        const items = order.map((host) => itemFor(host));
        const kinds = outcomeKinds(await recordAll(round % 3 === 0 ? catalogue : other, items));
        expect(kinds).toEqual(items.map(() => 'recorded'));
        const owner = `owner ${round}`;
        for (const { vm } of await catalogue.takeWork(owner, 4, 600_000)) {
          released.push(other.releaseVm(owner, vm.id, { state: 'failed', reason: null }));
        }
        // Repeats and creates under a known id lock rows of VMs, which releases do as well.
        await recordAll(
          other,
          items.map((item) => ({
            ...item,
            booking: { ...item.booking, bookingId: `${owner} ${item.spec.id}` },
          })),
        );
      }),
    );
    await Promise.all(released);
    await expectBalanced(
      catalogue,
      hosts.map(({ id }) => id),
    );
  }, 60_000);

  it('lets a release and a create under the same id wait for each other in one order only', async () => {
    const host = await upHost(catalogue);
    const vm = await placedVm(catalogue, host);
    await take(catalogue, 'me', vm.id);
    await operator.query('begin');
    await operator.query('select from vms where id = $1 for update', [vm.id]);
    const release = catalogue.releaseVm('me', vm.id, { state: 'failed', reason: null });
    await waiting(1);
    const record = recordAll(other, [itemFor(host, { vmId: vm.id })]);
    await waiting(2);
    await operator.query('commit');
    expect(await release).toMatchObject({ state: 'failed' });
    expect(outcomeKinds(await record)).toEqual(['taken']);
  }, 30_000);

  it('records all the same when its session is killed at work', async () => {
    const host = await upHost(catalogue);
    await operator.query('begin');
    await operator.query('select from hosts where id = $1 for update', [host.id]);
    const record = recordAll(catalogue, [itemFor(host)]);
    await waiting(1);
    expect(await killSessions()).toBeGreaterThan(0);
    await operator.query('rollback');
    expect(outcomeKinds(await record)).toEqual(['recorded']);
    await answering(catalogue);
    await answering(other);
    await expectBalanced(catalogue, [host.id]);
  }, 30_000);

  it('loses no row that it acknowledged when its sessions are killed', async () => {
    const host = await upHost(catalogue);
    const items = Array.from({ length: 300 }, () => itemFor(host));
    const { epoch } = await catalogue.epoch();
    const end = new AbortController();
    let killed = 0;
    const killer = (async () => {
      while (!end.signal.aborted) killed += await killSessions();
    })();
    const answers = await Promise.all(
      items.map((item) =>
        catalogue.record(epoch, 1, [item]).then(
          (reply) => (reply.kind === 'done' ? (reply.outcomes[0]?.kind ?? 'none') : reply.kind),
          (error: unknown) =>
            typeof error === 'object' && error !== null && 'code' in error ? error.code : error,
        ),
      ),
    );
    end.abort();
    await killer;
    await answering(catalogue);
    await answering(other);
    expect(killed).toBeGreaterThan(0);
    expect(
      answers.filter((kind) => kind !== 'recorded' && kind !== 'catalogue_unavailable'),
    ).toEqual([]);
    // Repeating what was not answered brings every one in, once.
    expect(outcomeKinds(await recordAll(catalogue, items))).toEqual(items.map(() => 'recorded'));
    expect((await hostNow(catalogue, host.id)).allocated.cpu).toBe(items.length);
    await expectBalanced(catalogue, [host.id]);
  }, 60_000);

  it('says so when the database does not answer in time, and goes on when it does', async () => {
    const hasty = await open(url, { statementTimeoutMs: 200 });
    const host = await upHost(hasty);
    await operator.query('begin');
    await operator.query('select from hosts where id = $1 for update', [host.id]);
    const failure = await failureOf(hasty.patchHost(host.id, modePatch('cordoned'), TESTER));
    expect(failure).toMatchObject({ code: 'catalogue_unavailable', retryAfterS: 2 });
    expect(outcomeKinds(await recordAll(hasty, [itemFor(await upHost(hasty))]))).toEqual([
      'recorded',
    ]);
    await operator.query('rollback');
    expect(await hasty.patchHost(host.id, modePatch('cordoned'), TESTER)).toMatchObject({
      mode: 'cordoned',
    });
    await hasty.close();
  }, 30_000);

  it.each(['', '?options=-c%20work_mem%3D5MB%20-c%20jit%3Don'])(
    'sets what it relies on for each session, also where the address says more (%s)',
    async (query) => {
      const settings = { log: silentLog, poolMax: 3, statementTimeoutMs: 5_000 };
      const { lanes, close } = await connect({ databaseUrl: `${url}${query}` }, settings);
      const shown = async (name: string) => {
        const { rows } = await sql<Record<string, string>>`show ${sql.raw(name)}`.execute(
          lanes.loops,
        );
        return Object.values(rows[0] ?? {})[0];
      };
      expect(await shown('default_transaction_isolation')).toBe('read committed');
      expect(await shown('jit')).toBe('off');
      if (query !== '') expect(await shown('work_mem')).toBe('5MB');
      await close();
    },
  );

  it('waits for a replica that stands still in a transaction, and then goes on without it', async () => {
    const { lanes, close } = await connect(
      { databaseUrl: url },
      { log: silentLog, poolMax: 4, statementTimeoutMs: 5_000 },
    );
    const host = await upHost(catalogue);
    let wake: () => void = () => undefined;
    const awake = new Promise<void>((resolve) => (wake = resolve));
    let asleep: () => void = () => undefined;
    const sleeping = new Promise<void>((resolve) => (asleep = resolve));
    const stale = lanes.loops
      .transaction()
      .execute(async (tx) => {
        await sql`select from hosts where id = ${host.id} for update`.execute(tx);
        asleep();
        await awake;
        await sql`update hosts set mode = 'enabled' where id = ${host.id}`.execute(tx);
      })
      .catch((error: unknown) => error);
    await sleeping;
    const cordoned = await catalogue.patchHost(host.id, modePatch('cordoned'), TESTER);
    expect(cordoned).toMatchObject({ mode: 'cordoned' });
    wake();
    expect(await stale).toBeInstanceOf(Error);
    expect(await hostNow(catalogue, host.id)).toMatchObject({ mode: 'cordoned' });
    await close();
  }, 30_000);

  it('says so when there is no database', async () => {
    const failure = await failureOf(open('postgres://nobody@127.0.0.1:1/none'));
    expect(failure.code).toBe('catalogue_unavailable');
  }, 30_000);

  it('lets one replica take a VM while another wants something of it', async () => {
    const vm = await placedVm(catalogue, await upHost(catalogue));
    await Promise.all([
      takeAll(catalogue, 'a'),
      takeAll(other, 'b'),
      other.want(vm.id, 'stopped', TESTER),
    ]);
    const saved = await Promise.all(
      ['a', 'b'].map((owner) =>
        saveOne(catalogue, owner, vm.id, { state: 'running', reason: null, nextInMs: null }),
      ),
    );
    // Whoever had it, what was wanted stands, and it is looked at again if that came too late.
    expect(saved.filter((answer) => answer !== null).length).toBeLessThanOrEqual(1);
    expect(await catalogue.vm(vm.id)).toMatchObject({ desiredState: 'stopped' });
    const seen = await take(catalogue, 'c', vm.id);
    expect(seen?.vm.desiredState ?? 'stopped').toBe('stopped');
  });

  it('shows hosts and allocations as of one instant', async () => {
    const host = await upHost(catalogue);
    const end = new AbortController();
    const writer = (async () => {
      while (!end.signal.aborted) {
        const vm = await placedVm(catalogue, host);
        await take(catalogue, 'w', vm.id);
        await catalogue.releaseVm('w', vm.id, { state: 'failed', reason: null });
      }
    })();
    for (let look = 0; look < 20; look += 1) await expectBalanced(other, [host.id]);
    end.abort();
    await writer;
  }, 30_000);

  it('refuses amounts below zero, whoever writes them', async () => {
    const host = await upHost(catalogue);
    await expect(
      operator.query(`update hosts set allocated = '{"cpu": -1}' where id = $1`, [host.id]),
    ).rejects.toMatchObject({ code: '23514' });
  });
});
