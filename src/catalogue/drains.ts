/** Drains in the catalogue: which hosts are being emptied, by which plan, and what became of it. */
import { sql } from 'kysely';
import type { HostRef } from '../model/decision.js';
import type { Drain, DrainMove } from '../model/drain.js';
import { DomainError } from '../model/errors.js';
import type { DrainStore, OpenDrain } from '../model/stores/drains.js';
import { withActor } from './actor.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { jsonOf } from './json.js';

type Drains = Pick<
  DrainStore,
  'startDrain' | 'drain' | 'cancelDrain' | 'openDrains' | 'saveMoves' | 'noteTried' | 'finishDrain'
>;

export const drainsOf = (db: Database): Drains => ({
  startDrain: (hostId, plan, by) =>
    answered(() => withActor(db, by, 'host.drain', (tx) => startDrain(tx, hostId, plan))),

  drain: (hostId) => answered(() => drainOf(db, hostId)),

  cancelDrain: (hostId, by) =>
    answered(() =>
      by === null
        ? db.transaction().execute((tx) => cancelDrain(tx, hostId))
        : withActor(db, by, 'host.drain', (tx) => cancelDrain(tx, hostId)),
    ),

  openDrains: () =>
    answered(async () => {
      const { rows } = await sql<{ host_id: string; tried_at_seq: number | null }>`
        select host_id, tried_at_seq from drains
        where state = 'draining'
          or host_id in (select host_id from drain_moves where state = 'moving')
        order by started_at, host_id`.execute(db);
      const open: OpenDrain[] = [];
      for (const row of rows) {
        const drain = await drainOf(db, row.host_id);
        if (drain !== null) open.push({ drain, triedAtSeq: row.tried_at_seq });
      }
      return open;
    }),

  saveMoves: (hostId, moves) =>
    answered(async () => {
      if (moves.length > 0) await upsertMoves(db, hostId, moves);
    }),

  noteTried: (hostId, seq) =>
    answered(async () => {
      await sql`update drains set tried_at_seq = ${seq} where host_id = ${hostId}`.execute(db);
    }),

  finishDrain: (hostId) =>
    answered(async () => {
      const { rows } = await sql`
        update drains set state = 'done', ended_at = clock_timestamp()
        where host_id = ${hostId} and state = 'draining'
          and not exists (select from vms where vms.host_id = ${hostId})
        returning host_id`.execute(db);
      return rows.length > 0;
    }),
});

async function startDrain(
  tx: Database,
  hostId: string,
  { reason, owner, moves }: Parameters<DrainStore['startDrain']>[1],
): Promise<Drain> {
  const { rows: found } = await sql<{ mode: string; draining: boolean }>`
    select mode, exists (select from drains
      where host_id = hosts.id and drains.state = 'draining' and hosts.mode = 'draining') as draining
    from hosts where id = ${hostId} for no key update`.execute(tx);
  const [host] = found;
  if (host === undefined || host.mode === 'retired') {
    throw new DomainError('state_conflict', 'The host is retired: there is nothing to drain.');
  }
  if (!host.draining) {
    // A host that drains without a drain of its own was enabled before, for all that is known.
    await sql`
      insert into drains (host_id, state, reason, owner, before)
      select id, 'draining', ${reason}, ${owner},
        case when mode = 'draining' then '{"mode": "enabled"}'::jsonb else jsonb_build_object(
          'mode', mode, 'reason', mode_reason, 'owner', mode_owner, 'until', mode_until) end
      from hosts where id = ${hostId}
      on conflict (host_id) do update set
        state = 'draining', reason = excluded.reason, owner = excluded.owner,
        -- One that is drained again before it was opened goes back to what it was at first.
        before = case when ${host.mode} = 'draining' then drains.before else excluded.before end,
        tried_at_seq = null, started_at = clock_timestamp(), ended_at = null`.execute(tx);
    await sql`
      update hosts set mode = 'draining', mode_reason = ${reason}, mode_owner = ${owner},
        mode_until = null, revision = revision + 1
      where id = ${hostId}`.execute(tx);
    // Of an earlier drain only what is still on its way is of interest.
    await sql`
      delete from drain_moves where host_id = ${hostId} and state <> 'moving'`.execute(tx);
    if (moves.length > 0) await upsertMoves(tx, hostId, moves);
  }
  return present(await drainOf(tx, hostId));
}

async function cancelDrain(tx: Database, hostId: string): ReturnType<DrainStore['cancelDrain']> {
  await sql`select from hosts where id = ${hostId} for no key update`.execute(tx);
  const { rows } = await sql`select from drains where host_id = ${hostId} for update`.execute(tx);
  if (rows.length === 0) return null;
  // What cannot be read of before leaves the host closed.
  await sql`
    update hosts set
      mode = case when before ->> 'mode' in ('enabled', 'cordoned') then before ->> 'mode'
        else 'cordoned' end,
      mode_reason = before ->> 'reason', mode_owner = before ->> 'owner',
      mode_until = case when before ->> 'until' ~ '^\\d{4}-\\d\\d-\\d\\dT'
        then (before ->> 'until')::timestamptz end,
      revision = revision + 1
    from drains
    where hosts.id = ${hostId} and drains.host_id = hosts.id and hosts.mode = 'draining'`.execute(
    tx,
  );
  await sql`
    update drains set state = 'cancelled', ended_at = clock_timestamp()
    where host_id = ${hostId} and state <> 'cancelled'`.execute(tx);
  // What was let go already holds no data here any more: it goes on (see leaveHost).
  const { rows: staying } = await sql<{ id: string; reservation: string }>`
    with staying as (
      select id, moving_to from vms
      where host_id = ${hostId} and moving_to is not null and has_run
      order by id for no key update
    )
    update vms set moving_to = null, due_at = clock_timestamp(), tries = 0, leased_for = null
    from staying where vms.id = staying.id
    returning vms.id, staying.moving_to as reservation`.execute(tx);
  await sql`
    update drain_moves set state = 'cancelled', target = null, detail = null, summary = null
    where host_id = ${hostId}
      and (state in ('planned', 'blocked') or vm_id = any(${staying.map(({ id }) => id)}))`.execute(
    tx,
  );
  return {
    drain: present(await drainOf(tx, hostId)),
    reservations: staying.map(({ reservation }) => reservation),
  };
}

/** New moves come last, in the order in which they are given. */
async function upsertMoves(
  db: Database,
  hostId: string,
  moves: readonly DrainMove[],
): Promise<void> {
  const values = moves.map(({ vm, state, planned, target, detail, summary }) => ({
    vm_id: vm.id,
    vm_name: vm.name,
    state,
    planned,
    target,
    detail,
    summary,
  }));
  await sql`
    insert into drain_moves (host_id, vm_id, vm_name, position, state, planned, target, detail,
                             summary)
    select ${hostId}, m.vm_id, m.vm_name,
      coalesce((select max(position) from drain_moves where host_id = ${hostId}), 0)
        + row_number() over (order by m.at),
      m.state, m.planned, m.target, m.detail, m.summary
    from rows from (jsonb_to_recordset(${jsonOf(values)}::jsonb) as (
      vm_id text, vm_name text, state text, planned jsonb, target jsonb, detail text,
      summary jsonb)) with ordinality
      as m(vm_id, vm_name, state, planned, target, detail, summary, at)
    on conflict (host_id, vm_id) do update set
      state = excluded.state, planned = excluded.planned, target = excluded.target,
      detail = excluded.detail, summary = excluded.summary
    -- Whoever looked before a cancel does not undo it.
    where drain_moves.state <> 'cancelled' or excluded.state not in ('planned', 'blocked')`.execute(
    db,
  );
}

interface DrainRow {
  readonly id: string;
  readonly name: string;
  readonly state: Drain['state'];
  readonly reason: string | null;
  readonly owner: string | null;
  readonly started_at: Date;
  readonly ended_at: Date | null;
}

interface MoveRow extends Pick<DrainMove, 'state' | 'detail' | 'summary'> {
  readonly vm_id: string;
  readonly vm_name: string;
  readonly planned: HostRef | null;
  readonly target: HostRef | null;
}

async function drainOf(db: Database, hostId: string): Promise<Drain | null> {
  const { rows } = await sql<DrainRow>`
    select hosts.id, hosts.name, drains.* from drains join hosts on hosts.id = drains.host_id
    where host_id = ${hostId}`.execute(db);
  const [row] = rows;
  if (row === undefined) return null;
  const { rows: moves } = await sql<MoveRow>`
    select * from drain_moves where host_id = ${hostId} order by position`.execute(db);
  return {
    host: { id: row.id, name: row.name },
    state: row.state,
    reason: row.reason,
    owner: row.owner,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    moves: moves.map(({ vm_id, vm_name, state, planned, target, detail, summary }) => ({
      vm: { id: vm_id, name: vm_name },
      state,
      planned,
      target,
      detail,
      summary,
    })),
  };
}

function present(drain: Drain | null): Drain {
  if (drain === null) throw new Error('a drain vanished while it was written');
  return drain;
}
