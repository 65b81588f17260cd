/** Requests with an Idempotency-Key: one try at a time, and the answer kept. Time is the database's. */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type {
  IdempotencyStore,
  RequestBeginning,
  RequestName,
} from '../model/stores/idempotency.js';
import type { Database } from './connection.js';
import { answered } from './failures.js';

export const idempotencyOf = (db: Database): IdempotencyStore => ({
  beginRequest: (name, requestHash, lease, leaseMs) =>
    answered(() => begin(db, name, requestHash, lease, leaseMs)),

  extendRequest: ({ scope, key }, lease, leaseMs) =>
    answered(async () => {
      await sql`
        update idempotency_keys
        set lease_until = clock_timestamp() + ${leaseMs} * interval '1 millisecond'
        where scope = ${scope} and key = ${key} and lease_owner = ${lease}`.execute(db);
    }),

  keepAnswer: ({ scope, key }, lease, { status, text }) =>
    answered(async () => {
      await sql`
        update idempotency_keys
        set status = ${status}, answer = ${text}, lease_owner = null, lease_until = null
        where scope = ${scope} and key = ${key} and lease_owner = ${lease}`.execute(db);
    }),

  reopenRequest: ({ scope, key }, lease) =>
    answered(async () => {
      await sql`
        update idempotency_keys set lease_owner = null, lease_until = null
        where scope = ${scope} and key = ${key} and lease_owner = ${lease}`.execute(db);
    }),

  forgetRequest: ({ scope, key }, lease) =>
    answered(async () => {
      await sql`
        delete from idempotency_keys
        where scope = ${scope} and key = ${key} and lease_owner = ${lease}`.execute(db);
    }),

  purgeRequests: (olderThanMs) =>
    answered(async () => {
      const { numAffectedRows } = await sql`
        delete from idempotency_keys
        where created_at < clock_timestamp() - ${olderThanMs} * interval '1 millisecond'
          and (lease_until is null or lease_until < clock_timestamp())`.execute(db);
      return Number(numAffectedRows ?? 0n);
    }),
});

interface KeyRow {
  readonly request_hash: string;
  readonly status: number | null;
  readonly answer: string | null;
}

async function begin(
  db: Database,
  { scope, key }: RequestName,
  requestHash: string,
  lease: string,
  leaseMs: number,
): Promise<RequestBeginning> {
  const { rows: begun } = await sql<{ seed: string }>`
    insert into idempotency_keys as known
      (scope, key, request_hash, seed, lease_owner, lease_until)
    values (${scope}, ${key}, ${requestHash}, ${randomUUID()}, ${lease},
            clock_timestamp() + ${leaseMs} * interval '1 millisecond')
    on conflict (scope, key) do update set
      lease_owner = excluded.lease_owner, lease_until = excluded.lease_until
      where known.request_hash = excluded.request_hash and known.status is null
        and (known.lease_until is null or known.lease_until < clock_timestamp())
    returning seed`.execute(db);
  if (begun[0] !== undefined) return { kind: 'begun', seed: begun[0].seed };
  const { rows } = await sql<KeyRow>`
    select request_hash, status, answer from idempotency_keys
    where scope = ${scope} and key = ${key}`.execute(db);
  const [known] = rows;
  // Forgotten between the two statements: whoever asks again begins it.
  if (known === undefined) return { kind: 'in_progress' };
  if (known.request_hash !== requestHash) return { kind: 'reused' };
  if (known.status === null || known.answer === null) return { kind: 'in_progress' };
  return { kind: 'answered', answer: { status: known.status, text: known.answer } };
}
