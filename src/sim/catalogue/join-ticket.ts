/** Whether a machine may join under an id, in the catalogue's double. */
import { anothersHost, retiredHost } from '../../model/join-refusals.js';
import { DomainError } from '../../model/errors.js';
import type { JoinRequest } from '../../model/ports.js';
import type { Tables } from './tables.js';
import { putToken } from './writing.js';

/**
 * Checks the ticket of a join and uses it up; undone when the join fails.
 * @throws DomainError `forbidden`, `state_conflict`, `name_conflict`
 */
export function admit(tables: Tables, request: JoinRequest): void {
  const { ticket } = request;
  if (ticket.by === 'host' && ticket.hostId !== request.id) {
    throw new DomainError('forbidden', 'The token of a host opens the door to that host only.');
  }
  if (ticket.by === 'token') {
    useTicket(tables, ticket.tokenId, request.id);
    refuseAnothers(tables, request);
  }
  refuseConfusion(tables, request);
}

/** Hosts are called by id or by name: nobody's id may be the name of another. */
function refuseConfusion(tables: Tables, { id, name }: JoinRequest): void {
  for (const other of tables.hosts.rows()) {
    const isCalledSo = other.name === id && other.mode !== 'retired';
    if (other.id === id || (other.id !== name && !isCalledSo)) continue;
    const field = other.id === name ? 'name' : 'id';
    const taken = field === 'id' ? id : name;
    throw new DomainError('name_conflict', `Another host is called ${taken}.`, {
      errors: [{ field, message: 'must be neither the id nor the name of another host' }],
    });
  }
}

/** A repeat for the same host is the same use: the answer to the first may have been lost. */
function useTicket(tables: Tables, tokenId: string, hostId: string): void {
  const token = tables.tokens.get(tokenId);
  const isOpen = token?.role === 'join' && token.revokedAt === null;
  if (isOpen && (token.usedBy === null || token.usedBy === hostId)) {
    putToken(tables, { ...token, usedAt: token.usedAt ?? tables.now(), usedBy: hostId });
    return;
  }
  throw new DomainError(
    'forbidden',
    'This join token was used by another host or is revoked; a new one is needed.',
  );
}

/** A join token makes a new host. Whoever holds one must not take over a host that is there. */
function refuseAnothers(tables: Tables, request: JoinRequest): void {
  const known = tables.hosts.get(request.id);
  if (known === undefined) return;
  if (known.mode === 'retired') throw retiredHost(request.id);
  const isItself =
    known.credential === request.credential &&
    (known.tokenHash === null || known.tokenHash === request.tokenHash);
  if (isItself) return;
  throw anothersHost(request.id);
}
