/**
 * Which reports say anything new, on random books and reports: whatever taking a report over writes to
 * the rows of its host must have been foretold. The rows are written past the program, so that there
 * are also such as it makes rarely.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import { openCatalogue } from '../../src/catalogue/catalogue.js';
import { AGENT_VM_STATES, type AgentVm } from '../../src/model/agent-report.js';
import type { Catalogue } from '../../src/model/ports.js';
import { ON_MISSING } from '../../src/model/stores/orphans.js';
import { DESIRED_STATES } from '../../src/model/vm.js';
import { silentLog } from '../support/log.js';
import { freshDatabase } from '../support/postgres.js';
import { checkAsync } from '../support/properties.js';
import { joinRequest } from './builders.js';
import { TESTER } from '../support/callers.js';

const HOSTS = 12;
const STATES = [
  ...(['running', 'running', 'running', 'stopped', 'placed', 'creating', 'stopping'] as const),
  ...(['starting', 'deleting', 'unknown'] as const),
];
const NUMBER = { bootId: 'boot-1', report: 7 };
const RESOURCES = { cpu: 1, memory: 1 };
const ASSIGNMENT = 100;

/** Minutes from when the report was asked for; null: none. */
const moment = fc.constantFrom(null, null, null, -10, 10);

const usual = <T>(value: T, others: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 8, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: others });

const vms = fc.record({
  state: fc.constantFrom(...STATES),
  /** null: what it is, if it can be wanted. */
  desired: usual(null, fc.constantFrom(...DESIRED_STATES)),
  hasRun: fc.constantFrom(true, true, true, false),
  missing: usual(0, fc.integer({ min: 0, max: 2 })),
  outdated: usual(0, fc.integer({ min: 0, max: 1 })),
  due: moment,
  lease: usual(null, moment),
  isMoving: usual(false, fc.boolean()),
  changed: usual(-10, fc.constant(10)),
  /** null: what is recorded, if an agent can say it. */
  said: usual(null, fc.constantFrom('nothing', ...AGENT_VM_STATES)),
  saidAssignment: usual(0, fc.integer({ min: -1, max: 1 })),
  saidReason: usual(null, fc.constant({ code: 'said', detail: 'by itself' })),
});

const hosts = fc.record({
  vms: fc.array(vms, { maxLength: 4 }),
  isOvertaken: usual(false, fc.boolean()),
  orphan: usual(false, fc.boolean()),
  stranger: usual(null, fc.constantFrom('unknown', 'elsewhere', 'fenced')),
});

const worlds = fc.record({
  hosts: fc.array(hosts, { minLength: HOSTS, maxLength: HOSTS }),
  isOpen: usual(false, fc.boolean()),
  onMissing: fc.constantFrom(...ON_MISSING),
  isAsked: usual(true, fc.boolean()),
});
type World = typeof worlds extends fc.Arbitrary<infer One> ? One : never;
type BookedVm = World['hosts'][number]['vms'][number];

const hostId = (at: number) => `host-${at.toString()}`;
const vmId = (host: number, at: number) => `vm-${host.toString()}-${at.toString()}`;

function saidOf(vm: BookedVm, id: string): readonly AgentVm[] {
  const state = vm.said ?? AGENT_VM_STATES.find((one) => one === vm.state) ?? 'nothing';
  const { saidReason: reason } = vm;
  const assignment = ASSIGNMENT + vm.saidAssignment;
  return state === 'nothing' ? [] : [{ id, assignment, state, reason, resources: RESOURCES }];
}

function strangerOn(host: number, kind: World['hosts'][number]['stranger']): readonly AgentVm[] {
  if (kind === null) return [];
  const id = kind === 'elsewhere' ? vmId((host + 1) % HOSTS, 0) : `${kind}-${host.toString()}`;
  return [{ id, assignment: ASSIGNMENT, state: 'running', reason: null, resources: RESOURCES }];
}

describe('reports with news', () => {
  let catalogue: Catalogue;
  let database: pg.Client;
  let askedAt: Date;
  beforeAll(async () => {
    const url = await freshDatabase();
    catalogue = await openCatalogue(
      { databaseUrl: url },
      { log: silentLog, missingGraceMs: 0, statementTimeoutMs: 60_000 },
    );
    database = new pg.Client({ connectionString: url });
    await database.connect();
    for (let at = 0; at < HOSTS; at += 1) {
      await catalogue.joinHost(joinRequest({ id: hostId(at) }), TESTER);
    }
    const { rows } = await database.query<{ at: Date }>('select clock_timestamp() as at');
    askedAt = rows[0]!.at;
  }, 30_000);
  afterAll(async () => {
    await database.end();
    await catalogue.close();
  });

  /** Counted from the question. */
  const at = (minutes: number | null) =>
    minutes === null ? null : new Date(askedAt.getTime() + minutes * 60_000);

  async function write({ hosts: all, isOpen }: World): Promise<void> {
    const rows = all.flatMap((host, on) =>
      host.vms.map((vm, place) => ({
        id: vmId(on, place),
        host_id: hostId(on),
        state: vm.state,
        desired_state: vm.desired ?? (vm.state === 'stopped' ? 'stopped' : 'running'),
        has_run: vm.hasRun,
        missing_strikes: vm.missing,
        outdated_strikes: vm.outdated,
        due_at: at(vm.due),
        lease_until: at(vm.lease),
        moving_to: vm.isMoving ? 'rsv-somewhere' : null,
        updated_at: at(vm.changed),
      })),
    );
    const numbers = all.map(({ isOvertaken }) => NUMBER.report + Number(isOvertaken));
    const orphans = all.flatMap(({ orphan }, on) => (orphan ? [hostId(on)] : []));
    await database.query('begin; set local session_replication_role = replica');
    await database.query('delete from allocations; delete from vms; delete from orphans');
    await database.query(
      `insert into vms (id, name, path, resources, constraints, request_hash, desired_state, state,
         host_id, has_run, missing_strikes, outdated_strikes, due_at, lease_until, moving_to,
         updated_at)
       select id, id, 'root', $2::jsonb, '{}', '', desired_state, state, host_id, has_run,
         missing_strikes, outdated_strikes, due_at, lease_until, moving_to, updated_at
       from jsonb_populate_recordset(null::vms, $1::jsonb)`,
      [JSON.stringify(rows), JSON.stringify(RESOURCES)],
    );
    await database.query(
      `insert into allocations (booking_id, vm_id, assignment, host_id, path, resources)
       select 'booking-' || id, id, $1, host_id, path, resources from vms`,
      [ASSIGNMENT],
    );
    await database.query(
      `insert into orphans (host_id, vm_id, assignment, state, resources)
       select id, 'orphan', 1, 'running', '{}' from unnest($1::text[]) as one(id)`,
      [orphans],
    );
    await database.query(
      `insert into fenced_vms (host_id, vm_id, assignment)
       select id, replace(id, 'host', 'fenced'), $1 from hosts on conflict do nothing`,
      [ASSIGNMENT],
    );
    await database.query(
      `update hosts set boot_id = $1, report = one.report, orphaned = '{}'
       from unnest($2::text[], $3::bigint[]) as one(id, report) where hosts.id = one.id`,
      [NUMBER.bootId, all.map((_, on) => hostId(on)), numbers],
    );
    await database.query('update fleet_watch set is_open = $1', [isOpen]);
    await database.query('commit');
  }

  /** All that is kept of each host, as text. */
  async function kept(): Promise<ReadonlyMap<string, string>> {
    const { rows } = await database.query<{ id: string; kept: string }>(
      `select hosts.id, jsonb_build_array(to_jsonb(hosts),
         (select jsonb_agg(to_jsonb(vms) order by id) from vms where host_id = hosts.id),
         (select jsonb_agg(to_jsonb(a) order by a.vm_id) from allocations a
          where a.host_id = hosts.id),
         (select jsonb_agg(to_jsonb(o) order by o.vm_id) from orphans o
          where o.host_id = hosts.id))::text as kept
       from hosts`,
    );
    return new Map(rows.map(({ id, kept: text }) => [id, text]));
  }

  it('are all that would change anything; those that say what is known are not among them', async () => {
    const found = { quiet: 0, changed: 0, foretold: 0 };
    await checkAsync(
      fc.asyncProperty(worlds, async (world) => {
        await write(world);
        const reports = world.hosts.map((host, on) => ({
          ...NUMBER,
          hostId: hostId(on),
          askedAt: world.isAsked ? askedAt : null,
          vms: [
            ...host.vms.flatMap((vm, place) => saidOf(vm, vmId(on, place))),
            ...strangerOn(on, host.stranger),
          ],
        }));
        const before = await kept();
        const news = await catalogue.reportsWithNews(reports);
        expect(await kept()).toEqual(before);
        for (const { hostId: id, vms: said, askedAt: asked } of reports) {
          const reading = { onMissing: world.onMissing, askedAt: asked };
          await catalogue.reportVms(id, NUMBER, said, reading);
          await catalogue.noteStrangers(id, NUMBER, said, asked);
        }
        const after = await kept();
        const changed = [...before].flatMap(([id, was]) => (after.get(id) === was ? [] : [id]));
        found.quiet += HOSTS - news.size;
        found.changed += changed.length;
        found.foretold += news.size;
        expect(changed.filter((id) => !news.has(id))).toEqual([]);
      }),
      120,
    );
    // Both kinds are there in numbers, and few are named for nothing.
    expect(found.quiet).toBeGreaterThan(200);
    expect(found.changed).toBeGreaterThan(200);
    expect(found.foretold).toBeLessThan(found.changed * 1.25);
  }, 120_000);
});
