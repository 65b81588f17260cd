/** The record of a batch: one call of `record_bookings`, repeated safely when its answer is lost. */
import { sql } from 'kysely';
import type { Catalogue, RecordItem, RecordOutcome } from '../model/ports.js';
import type { Database } from './connection.js';
import { answered, isNoAnswer, isRetryable, isUniqueViolation } from './failures.js';
import { vmOf } from './rows.js';
import { selectVms } from './vms.js';

const TRIES_MAX = 4;

interface OutcomeRow {
  readonly outcome: RecordOutcome['kind'];
  readonly assignment: number | null;
}

export const recordOf = (db: Database): Pick<Catalogue, 'record'> => ({
  record: (epoch, seq, items) =>
    answered(async () => {
      const rows = await recordRows(db, epoch, seq, items);
      if (rows === null) return { kind: 'stale_epoch' };
      return { kind: 'done', outcomes: await outcomesOf(db, items, rows) };
    }),
});

/** @returns null when the epoch is not the present one */
async function recordRows(
  db: Database,
  epoch: number,
  seq: number,
  items: readonly RecordItem[],
): Promise<readonly OutcomeRow[] | null> {
  const parameter = JSON.stringify(items.map(parameterOf));
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { rows } = await sql<OutcomeRow>`
        select outcome, assignment from record_bookings(${epoch}, ${seq}, ${parameter}::jsonb)`.execute(
        db,
      );
      return rows.length === 0 ? null : rows;
    } catch (error) {
      // Nothing was written, or the answer is lost: each booking is recorded under its own id, so
      // saying it again is safe in both cases.
      const again = isRetryable(error) || isNoAnswer(error) || isUniqueViolation(error);
      if (!again || attempt === TRIES_MAX) throw error;
    }
  }
}

const parameterOf = ({ kind, spec, requestHash, booking, attempt }: RecordItem) => ({
  kind,
  bookingId: booking.bookingId,
  hostId: booking.hostId,
  requestHash,
  attempt,
  spec: {
    id: spec.id,
    name: spec.name,
    path: spec.path,
    resources: spec.resources,
    image: spec.image,
    constraints: spec.constraints,
  },
});

async function outcomesOf(
  db: Database,
  items: readonly RecordItem[],
  rows: readonly OutcomeRow[],
): Promise<readonly RecordOutcome[]> {
  const recorded = items.filter((_item, index) => rows[index]?.outcome === 'recorded');
  const ids = recorded.map(({ spec }) => spec.id);
  const found = ids.length === 0 ? [] : await selectVms(db, sql`vms.id = any(${ids})`);
  const vms = new Map(found.map((row) => [row.id, vmOf(row)]));
  return items.map(({ spec }, index): RecordOutcome => {
    const { outcome, assignment } = rows[index] ?? { outcome: 'gone', assignment: null };
    if (outcome !== 'recorded') return { kind: outcome };
    const vm = vms.get(spec.id);
    return vm === undefined || assignment === null
      ? { kind: 'gone' }
      : { kind: 'recorded', vm, assignment };
  });
}
