/**
 * Verify on real stores: each code is provoked behind Berth's back, found, and mended where that is
 * promised; a healthy fleet at work shows nothing.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import pg from 'pg';
import { verifyVerbs, type VerifyVerbs } from '../../src/control/repair-books.js';
import { FINDING_CODES, FINDING_REPAIRS, type FindingCode } from '../../src/model/verify.js';
import { systemClock } from '../../src/std/clock.js';
import { openCatalogue } from '../../src/catalogue/catalogue.js';
import { createLedger } from '../../src/ledger/ledger.js';
import { DEFAULT_POLICY } from '../support/hosts.js';
import { tester } from '../support/callers.js';
import { silentLog } from '../support/log.js';
import { ControlFixture, eventually, settled, type TestReplica } from './control-fixture.js';
import { ledgerPrefix } from '../support/ledger-in-place.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };
const ROOMY = { cpu: 64, memory: 100_000, disk: 100_000 };
const LEASE_MS = 500;

/** Looks that follow each other faster than in earnest: harder for what is under way. */
const CLOCK = { ...systemClock, sleep: () => systemClock.sleep(30) };

const codesOf = (report: { readonly findings: readonly { readonly code: FindingCode }[] }) =>
  report.findings.map(({ code }) => code).sort();

interface Bench {
  readonly fixture: ControlFixture;
  readonly replica: TestReplica;
  readonly verify: VerifyVerbs;
  readonly drift: Map<string, number>;
  readonly sql: pg.Client;
  readonly redis: Redis;
  stop(): Promise<void>;
}

async function startBench(): Promise<Bench> {
  const fixture = await ControlFixture.start();
  const replica = await fixture.replica();
  await fixture.host(replica, 'oak', ROOMY);
  await fixture.host(replica, 'elm', ROOMY);
  const { databaseUrl, redis } = fixture;
  const catalogue = await openCatalogue(
    { databaseUrl },
    { log: silentLog, capacity: DEFAULT_POLICY },
  );
  const url = redis.url;
  const ledger = await createLedger({ cell: 'main', url, log: silentLog, clock: CLOCK });
  const drift = new Map<string, number>();
  const telemetry = {
    count: () => undefined,
    observe: (name: string, value: number, labels: Readonly<Record<string, string>> = {}) => {
      if (name === 'berth_drift') drift.set(labels.kind ?? '', value);
    },
  };
  const ports = { ledger, catalogue, clock: CLOCK, log: silentLog, telemetry };
  const sql = new pg.Client({ connectionString: databaseUrl });
  await sql.connect();
  return {
    fixture,
    replica,
    verify: verifyVerbs(ports, replica.control, LEASE_MS),
    drift,
    sql,
    redis: redis.client(),
    async stop() {
      await sql.end();
      await ledger.close();
      await catalogue.close();
      await fixture.stop();
    },
  };
}

/** Ids that the cases meddle with. */
interface Ids {
  readonly vm: string;
  readonly reservation: string;
  readonly oak: string;
  readonly elm: string;
}

interface Case {
  readonly code: FindingCode;
  readonly provoke: (bench: Bench, ids: Ids) => Promise<unknown>;
  /** What else is wrong by the same deed. */
  readonly beside?: readonly FindingCode[];
  /** Puts right what no repair does. */
  readonly undo?: (bench: Bench, ids: Ids) => Promise<unknown>;
}

const CASES: readonly Case[] = [
  {
    code: 'host_sums',
    provoke: ({ sql }, { oak }) =>
      sql.query(`update hosts set allocated = '{"cpu": 9, "gpu": 1}' where id = $1`, [oak]),
  },
  {
    code: 'vm_without_booking',
    beside: ['booking_unrecorded'],
    provoke: async ({ sql }, { vm }) => {
      await sql.query(
        `with gone as (delete from allocations where vm_id = $1 returning *)
         update hosts set allocated = amounts_add(allocated, gone.resources, -1)
         from gone where hosts.id = gone.host_id`,
        [vm],
      );
    },
    undo: ({ sql }, { vm }) =>
      sql.query(`update vms set state = 'failed', host_id = null where id = $1`, [vm]),
  },
  {
    code: 'row_set_aside',
    provoke: ({ sql }, { vm }) =>
      sql.query(`update vms set constraints = '[1]' where id = $1`, [vm]),
    undo: ({ sql }, { vm }) => sql.query(`update vms set constraints = '{}' where id = $1`, [vm]),
  },
  {
    code: 'booking_of_gone_vm',
    provoke: ({ sql }, { vm }) =>
      sql.query(`update vms set state = 'failed', host_id = null where id = $1`, [vm]),
  },
  {
    code: 'booking_elsewhere',
    provoke: ({ sql }, { vm, oak, elm }) =>
      sql.query(
        'update vms set host_id = case when host_id = $2 then $3 else $2 end where id = $1',
        [vm, oak, elm],
      ),
    undo: ({ sql }, { vm }) =>
      sql.query(
        'update vms set host_id = a.host_id from allocations a where a.vm_id = vms.id and vms.id = $1',
        [vm],
      ),
  },
  {
    code: 'reservation_without_booking',
    provoke: ({ sql }, { oak }) =>
      sql.query(
        `insert into reservations (id, purpose, name, path, resources, constraints, host_id)
         values ('rsv-empty', 'move', 'empty', 'root', '{}', '{}', $1)`,
        [oak],
      ),
  },
  {
    code: 'reservation_overdue',
    provoke: ({ sql }, { reservation }) =>
      sql.query(`update reservations set until = now() - interval '1 hour' where id = $1`, [
        reservation,
      ]),
  },
  {
    code: 'group_members',
    provoke: ({ sql }, { vm }) =>
      sql.query(
        `delete from group_members m using allocations a
         where a.booking_id = m.booking_id and a.vm_id = $1`,
        [vm],
      ),
  },
  {
    code: 'assignment_ahead',
    provoke: ({ sql }, { vm }) =>
      sql.query(
        `update allocations set assignment = (select last_value + 5 from assignments)
         where vm_id = $1`,
        [vm],
      ),
  },
  {
    code: 'ledger_unsettled',
    provoke: ({ redis }) => redis.hset('berth:{main}:ledger', 'incarnation', 'another'),
  },
  {
    code: 'ledger_sums',
    beside: ['ledger_drift'],
    provoke: async ({ redis }, { oak }) =>
      redis.hincrby(`${await ledgerPrefix(redis)}host:${oak}`, 'used:cpu', 3),
  },
  {
    code: 'ledger_drift',
    beside: ['booking_differs'],
    provoke: async ({ redis }, { vm }) => {
      const host = (await redis.hget(`${await ledgerPrefix(redis)}vm:${vm}`, 'host')) ?? '';
      await redis.hset(
        `${await ledgerPrefix(redis)}vm:${vm}`,
        'amounts',
        JSON.stringify({ ...SMALL, cpu: 3 }),
      );
      await redis.hincrby(`${await ledgerPrefix(redis)}host:${host}`, 'used:cpu', 2);
    },
  },
  {
    code: 'ledger_groups',
    provoke: async ({ redis }, { oak }) =>
      redis.hset(`${await ledgerPrefix(redis)}group:root/web`, oak, '7 0'),
  },
  {
    code: 'ledger_host_missing',
    provoke: async ({ redis }, { elm }) => redis.srem(`${await ledgerPrefix(redis)}hosts`, elm),
  },
  {
    code: 'booking_missing',
    beside: ['ledger_groups', 'ledger_sums'],
    provoke: async ({ redis }, { vm }) => {
      await redis.srem(`${await ledgerPrefix(redis)}vms`, vm);
      await redis.del(`${await ledgerPrefix(redis)}vm:${vm}`);
    },
  },
  {
    code: 'booking_differs',
    beside: ['ledger_sums'],
    provoke: async ({ redis }, { vm }) =>
      redis.hset(
        `${await ledgerPrefix(redis)}vm:${vm}`,
        'amounts',
        JSON.stringify({ ...SMALL, cpu: 3 }),
      ),
  },
  {
    code: 'booking_unrecorded',
    provoke: async ({ redis }, { oak }) => {
      const booking = { booking: 'ghost-1', host: oak, amounts: '{"cpu":2}', path: 'root' };
      await redis.hset(`${await ledgerPrefix(redis)}vm:ghost`, {
        ...booking,
        state: 'committed',
        at: '0',
      });
      await redis.sadd(`${await ledgerPrefix(redis)}vms`, 'ghost');
      await redis.hincrby(`${await ledgerPrefix(redis)}host:${oak}`, 'used:cpu', 2);
    },
  },
  {
    code: 'vm_absent',
    provoke: ({ sql }, { vm }) =>
      sql.query('update vms set missing_strikes = 2, missing_since = now() where id = $1', [vm]),
    undo: ({ sql }, { vm }) =>
      sql.query('update vms set missing_strikes = 0, missing_since = null where id = $1', [vm]),
  },
  {
    code: 'vm_orphan',
    provoke: ({ sql }, { oak }) =>
      sql.query(
        `insert into orphans (host_id, vm_id, strikes, assignment, state, resources)
         values ($1, 'stranger', 2, 4, 'running', '{"cpu": 1}')`,
        [oak],
      ),
    undo: ({ sql }) => sql.query('delete from orphans'),
  },
];

describe('each code', () => {
  let bench: Bench;
  let ids: Ids;
  const spare: string[] = [];

  beforeAll(async () => {
    bench = await startBench();
    const { replica } = bench;
    const groups = [{ name: 'web', policy: 'soft-anti-affinity' as const }];
    for (const _one of CASES) {
      const input = { resources: SMALL, constraints: { groups } };
      spare.push(
        (await settled(replica.control, await replica.control.createVm(input, tester))).id,
      );
    }
    const room = { resources: SMALL, expiresInS: 3_600 };
    const reservation = (await replica.control.reserve(room, tester)).id;
    const hosts = (await replica.ports.catalogue.hosts({ limit: 2, cursor: null })).items;
    const idOf = (name: string) => hosts.find((host) => host.name === name)!.id;
    ids = { vm: '', reservation, oak: idOf('oak'), elm: idOf('elm') };
    // Its loops would mend some of it, or judge it by the reports of agents that nobody has fooled.
    await eventually('everything committed', async () => {
      const overdue = await replica.ports.ledger.overdueBookings(-60_000, 1);
      return overdue.length === 0;
    });
    await replica.control.stop();
  }, 60_000);
  afterAll(() => bench.stop());

  it('has a case here', () => {
    expect(CASES.map(({ code }) => code).sort()).toEqual([...FINDING_CODES].sort());
  });

  it.each(CASES)(
    '$code is found, told by a dry run, and mended where that is safe',
    async (one) => {
      const { verify, drift } = bench;
      const own = { ...ids, vm: spare.pop() ?? '' };
      expect((await verify.verify()).findings).toEqual([]);
      await one.provoke(bench, own);
      const expected = [one.code, ...(one.beside ?? [])].sort();

      const dry = await verify.repairBooks({ dryRun: true }, tester);
      expect(codesOf(dry)).toEqual(expected);
      for (const finding of dry.findings) {
        expect(finding.detail).not.toBe('');
        expect(finding.repairable).toBe(FINDING_REPAIRS[finding.code] !== null);
        expect(finding).not.toHaveProperty('repaired');
        expect(drift.get(finding.code)).toBe(1);
      }
      expect(codesOf(await verify.verify())).toEqual(expected);

      const repair = await verify.repairBooks({ dryRun: false }, tester);
      expect(codesOf(repair)).toEqual(expected);
      const left = repair.findings.filter(({ repaired }) => repaired !== true);
      expect(left.map(({ code }) => code)).toEqual(
        FINDING_REPAIRS[one.code] === null ? [one.code] : [],
      );
      await one.undo?.(bench, own);
      expect((await verify.verify()).findings).toEqual([]);
      expect([...drift.values()].every((value) => value === 0)).toBe(true);
    },
  );

  it('leaves a trace of each repair in the audit log', async () => {
    const { rows } = await bench.sql.query<{ action: string; subject_kind: string }>(
      `select distinct action, subject_kind from audit where actor ->> 'id' = 'tester'
       and action in ('books.repair', 'ledger.rebuild', 'reservation.delete') order by 1, 2`,
    );
    expect(rows.map(({ action, subject_kind }) => `${action} ${subject_kind}`)).toEqual([
      'books.repair group',
      'books.repair host',
      'books.repair ledger',
      'books.repair reservation',
      'books.repair sequence',
      'books.repair vm',
      'ledger.rebuild ledger',
      'reservation.delete reservation',
    ]);
  });
});

describe('a fleet at work', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await startBench();
  }, 60_000);
  afterAll(() => bench.stop());

  /** Creates, deletes, reserves and consumes. @returns how many VMs it made */
  async function work({ control }: TestReplica): Promise<number> {
    const groups = [{ name: 'web', policy: 'soft-anti-affinity' as const }];
    const kept = await control.reserve({ resources: SMALL, expiresInS: 60 }, tester);
    const gone = await control.reserve({ resources: SMALL, expiresInS: 60 }, tester);
    const vms = await Promise.all([
      control.createVm({ resources: SMALL, constraints: { groups } }, tester),
      control.createVm({ resources: SMALL }, tester),
      control.createVm({ resources: SMALL, reservation: kept.id }, tester),
    ]);
    await control.endReservation(gone.id, tester);
    await Promise.all(vms.map(({ id }) => control.deleteVm(id, tester)));
    await systemClock.sleep(20);
    return vms.length;
  }

  /** Works until it is told to stop; a rebuild only makes it wait. */
  async function traffic(replica: TestReplica, until: { readonly over: boolean }): Promise<number> {
    let made = 0;
    while (!until.over) {
      made += await work(replica).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'ledger_rebuilding' });
        return 0;
      });
    }
    return made;
  }

  it('shows nothing, and is mended beside its traffic', async () => {
    const { replica, fixture, verify, sql, redis } = bench;
    const replicas = [replica, await fixture.replica()];
    const until = { over: false };
    const working = replicas.map((one) => traffic(one, until));
    let bookings = 0;
    for (let round = 0; round < 15; round += 1) {
      const report = await verify.verify();
      bookings += report.bookings;
      expect(report.findings).toEqual([]);
    }
    expect(bookings).toBeGreaterThan(0);

    await sql.query(`update hosts set allocated = amounts_add(allocated, '{"cpu": 5}', 1)`);
    const [key = ''] = await redis.keys(`${await ledgerPrefix(redis)}host:*`);
    await redis.hincrby(key, 'used:cpu', 4);
    const found = new Set<string>();
    await eventually(
      'all of it mended',
      async () => {
        const { findings } = await verify.repairBooks({ dryRun: false }, tester);
        for (const { code } of findings) found.add(code);
        return findings.length === 0;
      },
      30_000,
    );
    expect(found).toContain('host_sums');
    until.over = true;
    for (const made of await Promise.all(working)) expect(made).toBeGreaterThan(0);
    await eventually(
      'books that agree',
      async () => {
        const { hosts } = await replica.control.rebuild({ dryRun: true }, tester);
        return hosts.every(({ drift }) => Object.keys(drift).length === 0);
      },
      30_000,
    );
    expect((await verify.verify()).findings).toEqual([]);
  }, 120_000);
});
