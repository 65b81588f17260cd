/**
 * The record of a batch: one call of `record_bookings`, said again when its answer is lost. Each
 * booking is recorded under its own id, so a repeat finds what the first call did.
 */
import { sql } from 'kysely';
import type { Catalogue, RecordItem, RecordOutcome, RecordReply } from '../model/ports.js';
import { systemClock } from '../std/clock.js';
import type { Database } from './connection.js';
import { answered, isNoAnswer } from './failures.js';
import { jsonOf } from './json.js';
import { vmOf, type VmRow } from './rows.js';

const TRIES_MAX = 5;
/** No new try begins later than this. */
const DEADLINE_MS = 4_000;
/** Times the number of tries. */
const PAUSE_MS = 50;

type OutcomeRow =
  | { readonly outcome: 'stale_epoch' }
  | { readonly outcome: 'recorded'; readonly recorded: VmRow & { readonly assignment: number } }
  | { readonly outcome: Exclude<RecordOutcome['kind'], 'recorded'> };

export const recordOf = (db: Database): Pick<Catalogue, 'record'> => ({
  record: (epoch, seq, items) => answered(() => record(db, epoch, seq, items)),
});

async function record(
  db: Database,
  epoch: number,
  seq: number,
  items: readonly RecordItem[],
): Promise<RecordReply> {
  const batch = jsonOf(items.map(parameterOf));
  const outcomes: RecordOutcome[] = [];
  const rows = await saidUntilAnswered(async () => {
    const call = sql<OutcomeRow>`
      select outcome, recorded from record_bookings(${epoch}, ${seq}, ${batch}::jsonb)`;
    return (await call.execute(db)).rows;
  });
  for (const row of rows) {
    if (row.outcome === 'stale_epoch') return { kind: 'stale_epoch' };
    outcomes.push(outcomeOf(row));
  }
  return { kind: 'done', outcomes };
}

async function saidUntilAnswered<T>(call: () => Promise<T>): Promise<T> {
  const end = systemClock.monotonic() + DEADLINE_MS;
  for (let tries = 1; ; tries += 1) {
    try {
      return await call();
    } catch (error) {
      const late = systemClock.monotonic() > end;
      if (!isNoAnswer(error) || tries === TRIES_MAX || late) throw error;
      await systemClock.sleep(tries * PAUSE_MS);
    }
  }
}

const outcomeOf = (row: Exclude<OutcomeRow, { outcome: 'stale_epoch' }>): RecordOutcome =>
  row.outcome === 'recorded'
    ? { kind: 'recorded', vm: vmOf(row.recorded), assignment: row.recorded.assignment }
    : { kind: row.outcome };

const parameterOf = ({ kind, spec, requestHash, booking, attempt }: RecordItem) => ({
  kind,
  vm: {
    id: spec.id,
    name: spec.name,
    path: spec.path,
    image: spec.image,
    constraints: spec.constraints,
    requestHash,
  },
  booking: {
    bookingId: booking.bookingId,
    hostId: booking.hostId,
    path: booking.path,
    resources: booking.resources,
  },
  attempt,
});
