/**
 * Who changes something, told to the database: the triggers of migration 0010 write the audit log in
 * the same transaction as the change, with the facts before and after. What Berth does by itself
 * (the lifecycle, polls) names nobody and is not in the audit log; it is in the events.
 *
 * Whoever writes for somebody does it so:
 *
 *     withActor(db, by, 'vm.delete', async (tx) => { … every statement on tx … })
 *
 * In a function of SQL: `perform set_config('berth.actor', actor_json, true)` before each statement
 * that somebody asked for, where actor_json is what `actorSetting` makes, and '' for nobody.
 * What changes no row (a rebuild), and what no trigger watches, is said with `note` of the AuditStore.
 */
import { sql } from 'kysely';
import type { Actor } from '../model/actor.js';
import type { AuditAction } from '../model/audit.js';
import type { Database } from './connection.js';
import { jsonOf } from './json.js';

/** What the triggers read in the setting `berth.actor`. */
export const actorSetting = (by: Actor, action: AuditAction): string =>
  jsonOf({ kind: by.kind, id: by.id, name: by.name, requestId: by.requestId, action });

/**
 * Runs `run` in a transaction (the present one, when `db` is one) whose changes `by` made.
 * Nothing is kept when it throws.
 */
export async function withActor<T>(
  db: Database,
  by: Actor,
  action: AuditAction,
  run: (tx: Database) => Promise<T>,
): Promise<T> {
  const within = async (tx: Database): Promise<T> => {
    await sql`select set_config('berth.actor', ${actorSetting(by, action)}, true)`.execute(tx);
    const result = await run(tx);
    // A transaction that goes on may still change things that nobody asked for.
    if (db.isTransaction) await sql`select set_config('berth.actor', '', true)`.execute(tx);
    return result;
  };
  return db.isTransaction ? within(db) : db.transaction().execute(within);
}
