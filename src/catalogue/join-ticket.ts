/** Whether a machine may join under an id: nobody becomes a host that is another's. */
import { anothersHost, retiredHost } from '../model/join-refusals.js';
import { sql } from 'kysely';
import { DomainError } from '../model/errors.js';
import type { JoinRequest } from '../model/ports.js';
import type { JoinTicket } from '../model/token.js';
import type { Database } from './connection.js';

/**
 * Checks the ticket of a join and uses it up. To be called in the transaction of the join, before
 * the host's row is written: both happen, or neither.
 * @throws DomainError `forbidden`, `state_conflict`, `name_conflict`
 */
export async function admit(tx: Database, request: JoinRequest): Promise<void> {
  // Two joins under one new id or name: the second must see the row of the first.
  for (const called of [...new Set([request.id, request.name])].sort()) {
    await sql`select pg_advisory_xact_lock(hashtextextended(${`join:${called}`}, 0))`.execute(tx);
  }
  const { ticket } = request;
  if (ticket.by === 'host' && ticket.hostId !== request.id) {
    throw new DomainError('forbidden', 'The token of a host opens the door to that host only.');
  }
  if (ticket.by === 'token') {
    await useTicket(tx, ticket, request.id);
    await refuseAnothers(tx, request);
  }
  await refuseConfusion(tx, request);
}

/** A repeat for the same host is the same use: the answer to the first may have been lost. */
async function useTicket(
  tx: Database,
  { tokenId }: Extract<JoinTicket, { by: 'token' }>,
  hostId: string,
): Promise<void> {
  const { rows } = await sql`
    update tokens set used_at = coalesce(used_at, clock_timestamp()), used_by = ${hostId}
    where id = ${tokenId} and role = 'join' and revoked_at is null
      and (used_by is null or used_by = ${hostId})
    returning id`.execute(tx);
  if (rows.length > 0) return;
  throw new DomainError(
    'forbidden',
    'This join token was used by another host or is revoked; a new one is needed.',
  );
}

/**
 * Hosts are called by id or by name. One whose id is the name of another would get what is meant
 * for that one: its drain, its cordon, the VMs that are to run there.
 */
async function refuseConfusion(tx: Database, { id, name }: JoinRequest): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    select id from hosts
    where id <> ${id} and (id = ${name} or (name = ${id} and mode <> 'retired'))`.execute(tx);
  const [other] = rows;
  if (other === undefined) return;
  const field = other.id === name ? 'name' : 'id';
  throw new DomainError('name_conflict', `Another host is called ${field === 'id' ? id : name}.`, {
    errors: [{ field, message: 'must be neither the id nor the name of another host' }],
  });
}

/** A join token makes a new host. Whoever holds one must not take over a host that is there. */
async function refuseAnothers(tx: Database, request: JoinRequest): Promise<void> {
  const { rows } = await sql<{ credential: string; token_hash: string | null; mode: string }>`
    select credential, token_hash, mode from hosts where id = ${request.id} for update`.execute(tx);
  const [known] = rows;
  if (known === undefined) return;
  if (known.mode === 'retired') throw retiredHost(request.id);
  const isSame =
    known.credential === request.credential &&
    (known.token_hash === null || known.token_hash === request.tokenHash);
  if (isSame) return;
  throw anothersHost(request.id);
}
