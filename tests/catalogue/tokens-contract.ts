/** Tokens, and on whose word a machine may join. */
import { expect, it } from '@jest/globals';
import type { Catalogue } from '../../src/model/ports.js';
import type { JoinTicket, NewToken } from '../../src/model/token.js';
import { TESTER } from '../support/callers.js';
import { failureOf, fresh, joinRequest } from './builders.js';

const newToken = (changes: Partial<NewToken> = {}): NewToken => {
  const id = fresh('token');
  return {
    id,
    prefix: 'berth_abcde',
    hash: `hash of ${id}`,
    role: 'operator',
    name: 'for-a-test',
    path: null,
    expiresInS: null,
    ...changes,
  };
};

export function describeTokens(subject: () => Catalogue): void {
  const created = (changes: Partial<NewToken> = {}) =>
    subject().createToken(newToken(changes), TESTER);
  const hashOf = ({ id }: { readonly id: string }) => `hash of ${id}`;

  it('keeps a token without its secret, and finds whom a secret belongs to', async () => {
    const token = await created({ role: 'tenant', path: 'acme' });
    expect(token).toMatchObject({
      ...{ prefix: 'berth_abcde', role: 'tenant', path: 'acme', createdBy: 'tester' },
      ...{ expiresAt: null, revokedAt: null, usedAt: null, usedBy: null },
    });
    expect(Object.keys(token)).not.toContain('hash');
    const { id, name } = token;
    expect(await subject().credential(hashOf(token))).toEqual({
      ...{ kind: 'token', id, name, role: 'tenant', path: 'acme' },
    });
    expect(await subject().credential('hash of nobody')).toBeNull();
  });

  it('knows a revoked token no more, and revokes it once', async () => {
    const token = await created();
    const revoked = await subject().revokeToken(token.id, TESTER);
    expect(revoked?.revokedAt).not.toBeNull();
    expect(await subject().credential(hashOf(token))).toBeNull();
    expect(await subject().revokeToken(token.id, TESTER)).toEqual(revoked);
    expect(await subject().revokeToken('nobody', TESTER)).toBeNull();
  });

  it('knows an expired token no more', async () => {
    const token = await created({ expiresInS: 3_600 });
    expect(token.expiresAt?.getTime()).toBeGreaterThan(token.createdAt.getTime());
    expect(await subject().credential(hashOf(token))).not.toBeNull();
    const expired = await created({ expiresInS: -1 });
    expect(await subject().credential(hashOf(expired))).toBeNull();
  });

  it('lists all of them in order of creation, page by page', async () => {
    const made = [await created(), await created(), await created()];
    const listed: string[] = [];
    let cursor: string | null = null;
    do {
      const page = await subject().tokens({ limit: 2, cursor });
      listed.push(...page.items.map(({ id }) => id));
      ({ nextCursor: cursor } = page);
    } while (cursor !== null);
    expect(listed.slice(-3)).toEqual(made.map(({ id }) => id));
    expect(new Set(listed).size).toBe(listed.length);
  });

  it('writes down who made and who revoked it, without the hash', async () => {
    const token = await created();
    await subject().revokeToken(token.id, TESTER);
    await subject().revokeToken(token.id, TESTER);
    const { items } = await subject().audit({ limit: 10, cursor: null, subject: token.id });
    expect(items.map(({ action, actor }) => [action, actor.id])).toEqual([
      ['token.revoke', TESTER.id],
      ['token.create', TESTER.id],
    ]);
    expect(JSON.stringify(items)).not.toContain(hashOf(token));
  });

  const ticketOf = async (changes: Partial<NewToken> = {}): Promise<JoinTicket> => {
    const { id: tokenId } = await created({ role: 'join', ...changes });
    return { by: 'token', tokenId };
  };
  const join = (request: ReturnType<typeof joinRequest>) => subject().joinHost(request, TESTER);

  it('lets one host in with a join token, and the same host again', async () => {
    const ticket = await ticketOf();
    const request = joinRequest({ ticket, tokenHash: fresh('host-hash') });
    const host = await join(request);
    expect(await subject().credential(request.tokenHash ?? '')).toEqual({
      ...{ kind: 'host', id: host.id, name: host.name },
    });
    expect((await join({ ...request, version: '2' })).agent.version).toBe('2');
    const other = await failureOf(join(joinRequest({ ticket, tokenHash: fresh('host-hash') })));
    expect(other.code).toBe('forbidden');
    const { items } = await subject().tokens({ limit: 100, cursor: null });
    const used = items.find(({ id }) => ticket.by === 'token' && id === ticket.tokenId);
    expect(used).toMatchObject({ usedBy: host.id, usedAt: expect.any(Date) });
  });

  it('lets exactly one of many hosts in that come at once', async () => {
    const ticket = await ticketOf();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, () => join(joinRequest({ ticket }))),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('does not use a token up for a join that fails', async () => {
    const ticket = await ticketOf();
    const { name } = await join(joinRequest());
    expect((await failureOf(join(joinRequest({ ticket, name })))).code).toBe('name_conflict');
    await join(joinRequest({ ticket }));
  });

  it('refuses a token that is revoked or for something else', async () => {
    const ticket = await ticketOf();
    if (ticket.by === 'token') await subject().revokeToken(ticket.tokenId, TESTER);
    expect((await failureOf(join(joinRequest({ ticket })))).code).toBe('forbidden');
    const operator = await ticketOf({ role: 'operator' });
    expect((await failureOf(join(joinRequest({ ticket: operator })))).code).toBe('forbidden');
  });

  it('lets nobody take over a host with a join token', async () => {
    const request = joinRequest({ ticket: await ticketOf(), tokenHash: fresh('host-hash') });
    const { id, name } = await join(request);
    for (const changes of [
      { credential: 'of a thief' },
      { tokenHash: fresh('host-hash') },
      { tokenHash: null },
    ]) {
      const theft = { ...request, ...changes, address: 'http://10.6.6.6:1' };
      expect((await failureOf(join(theft))).code).toBe('state_conflict');
      const fresh = { ...theft, ticket: await ticketOf() };
      expect((await failureOf(join(fresh))).code).toBe('state_conflict');
    }
    expect(await subject().host(id)).toMatchObject({ name, address: request.address });
  });

  it('says of a retired host that it is retired, whatever it shows', async () => {
    const request = joinRequest({ ticket: await ticketOf(), tokenHash: fresh('host-hash') });
    const { id } = await join(request);
    await subject().retireHost(id, null, TESTER);
    for (const ticket of [await ticketOf(), { by: 'admin' } as const]) {
      const failure = await failureOf(join({ ...request, ticket }));
      expect(failure).toMatchObject({
        code: 'state_conflict',
        message: expect.stringContaining('was retired'),
      });
    }
  });

  it('lets a host change what it proves itself with, by its own token, and an admin do so', async () => {
    const request = joinRequest({ ticket: await ticketOf(), tokenHash: fresh('host-hash') });
    const { id } = await join(request);
    const renewed = fresh('host-hash');
    await join({ ...request, tokenHash: renewed, ticket: { by: 'host', hostId: id } });
    expect(await subject().credential(request.tokenHash ?? '')).toBeNull();
    expect(await subject().credential(renewed)).toMatchObject({ id });
    await join({ ...request, credential: 'new', tokenHash: null, ticket: { by: 'admin' } });
    expect(await subject().credential(renewed)).toBeNull();
  });

  it('lets a host speak for no other', async () => {
    const { id } = await join(joinRequest());
    const { id: other } = await join(joinRequest());
    const request = joinRequest({ id: other, ticket: { by: 'host', hostId: id } });
    expect((await failureOf(join(request))).code).toBe('forbidden');
  });

  it('gives two hosts no one token', async () => {
    const tokenHash = fresh('host-hash');
    await join(joinRequest({ tokenHash }));
    expect((await failureOf(join(joinRequest({ tokenHash })))).code).toBe('state_conflict');
  });
}
