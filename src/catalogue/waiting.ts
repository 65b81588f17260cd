/** The line of VMs that wait for room. Who places them is control's part; record.ts takes them off. */
import { sql } from 'kysely';
import type { Constraints } from '../model/constraints.js';
import type { Resources } from '../model/resources.js';
import type { StrategyName } from '../model/strategies.js';
import type { OnHostLoss, VmUser } from '../model/vm.js';
import type { Arrival, WaitingLine, WaitingStore } from '../model/stores/waiting.js';
import { withActor } from './actor.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';
import { jsonOf } from './json.js';
import { faultOfSpec } from './sound.js';
import { vmOf } from './rows.js';
import { selectVms } from './vms.js';

export const waitingOf = (db: Database): WaitingStore => ({
  enqueueVm: (arrival) =>
    answered(() => withActor(db, arrival.by, 'vm.create', (tx) => enqueue(tx, arrival))),

  waitingLine: () =>
    answered(async () => {
      const { rows } = await sql<WaitingLine>`
        select count(*) as count, coalesce(max(seq), 0) as newest from vms
        where state = 'waiting' and desired_state <> 'deleted'`.execute(db);
      return rows[0] ?? { count: 0, newest: 0 };
    }),

  waitingVms: (after, limit) =>
    answered(async () => {
      const { rows } = await sql<WaitingRow>`
        select seq, id, name, path, resources, image, users, constraints, strategy,
          on_host_loss as "onHostLoss" from vms
        where state = 'waiting' and desired_state <> 'deleted' and seq > ${after}
          and wait_until > clock_timestamp()
        order by seq limit ${limit}`.execute(db);
      // What cannot be read waits until its deadline, and keeps nobody from being placed.
      return rows
        .filter((row) => faultOfSpec(row) === null)
        .map(({ seq, strategy, ...spec }) => ({ seq, spec, strategy }));
    }),

  expireWaiting: (limit) =>
    answered(async () => {
      const { rows } = await sql<{ id: string }>`
        with late as (
          select id from vms
          where state = 'waiting' and desired_state <> 'deleted'
            and wait_until <= clock_timestamp()
          order by seq limit ${limit} for no key update skip locked
        )
        update vms set
          state = 'failed', wait_until = null, due_at = null, updated_at = clock_timestamp(),
          reason = ${WAIT_DEADLINE}::jsonb
        from late where vms.id = late.id
        returning vms.id`.execute(db);
      return rows.map(({ id }) => id);
    }),
});

const WAIT_DEADLINE = jsonOf({
  code: 'wait_deadline',
  detail: 'No host had room for it before its deadline.',
});

interface WaitingRow {
  readonly seq: number;
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly resources: Resources;
  readonly image: string | null;
  readonly users: readonly VmUser[];
  readonly constraints: Constraints;
  readonly strategy: StrategyName | null;
  readonly onHostLoss: OnHostLoss;
}

async function enqueue(
  tx: Database,
  { spec, requestHash, strategy, waitMs }: Arrival,
): ReturnType<WaitingStore['enqueueVm']> {
  await sql`
    insert into vms (id, name, path, resources, image, constraints, request_hash, strategy,
                     desired_state, state, wait_until, on_host_loss, users)
    values (${spec.id}, ${spec.name}, ${spec.path}, ${jsonOf(spec.resources)}::jsonb,
            ${spec.image}, ${jsonOf(spec.constraints)}::jsonb, ${requestHash}, ${strategy},
            'running', 'waiting', clock_timestamp() + ${waitMs} * interval '1 millisecond',
            ${spec.onHostLoss}, ${jsonOf(spec.users)}::jsonb)
    on conflict (id) do nothing`.execute(tx);
  const [row] = await selectVms(tx, sql`vms.id = ${spec.id}`);
  if (row === undefined) throw new Error(`the VM ${spec.id} went while it was looked at`);
  return { vm: vmOf(row), requestHash: row.request_hash };
}
