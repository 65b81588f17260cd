/** Tokens for tests of the API, kept in memory; a test may add any, even one that has expired. */
import { randomUUID } from 'node:crypto';
import type { JoinHostInput } from '../../src/control/control.js';
import type { TokenVerbs } from '../../src/control/tokens.js';
import { DomainError } from '../../src/model/errors.js';
import type { TokenStore } from '../../src/model/stores/tokens.js';
import type { Token, TokenRole } from '../../src/model/token.js';
import { hashOf, newSecret, prefixOf } from '../../src/std/secret.js';

interface KeptToken extends Token {
  readonly hash: string;
}

export interface TokensDouble {
  readonly tokens: Map<string, KeptToken>;
  /** Makes a token. @returns its secret */
  add(role: TokenRole, changes?: Partial<Token>): string;
  /** Makes a host's token. @returns it */
  addHostToken(hostId: string): string;
  readonly verbs: TokenVerbs;
  readonly store: Pick<TokenStore, 'tokens' | 'credential'>;
  /** What the catalogue checks when a host joins. */
  admit(input: JoinHostInput): void;
}

const KIND = 'berth_';

/** @param work a step that fails when the test wants it to */
export function createTokensDouble(work: () => Promise<void>): TokensDouble {
  const tokens = new Map<string, KeptToken>();
  const hostTokens = new Map<string, string>();
  const keep = (role: TokenRole, changes: Partial<Token>) => {
    const secret = newSecret(KIND);
    const token: KeptToken = {
      id: randomUUID(),
      prefix: prefixOf(secret, KIND),
      role,
      name: `a-${role}`,
      path: null,
      createdAt: new Date(),
      createdBy: 'admin',
      expiresAt: null,
      revokedAt: null,
      usedAt: null,
      usedBy: null,
      hash: hashOf(secret),
      ...changes,
    };
    tokens.set(token.id, token);
    return { token, secret };
  };

  return {
    tokens,
    add: (role, changes = {}) => keep(role, changes).secret,
    addHostToken(hostId) {
      const secret = newSecret('berth_host_');
      hostTokens.set(hashOf(secret), hostId);
      return secret;
    },
    verbs: {
      async createToken({ name, role, path, expiresInS }, { actor }) {
        await work();
        return keep(role, {
          name,
          path: path ?? null,
          createdBy: actor.name,
          expiresAt: expiresInS === undefined ? null : new Date(Date.now() + expiresInS * 1000),
        });
      },
      async revokeToken(id) {
        await work();
        const token = tokens.get(id);
        if (token === undefined) throw new DomainError('not_found', `There is no token ${id}.`);
        const revoked = { ...token, revokedAt: token.revokedAt ?? new Date() };
        tokens.set(id, revoked);
        return revoked;
      },
    },
    store: {
      async tokens({ limit, cursor }) {
        await work();
        const all = [...tokens.values()];
        const from = cursor === null ? 0 : all.findIndex(({ id }) => id === cursor) + 1;
        const items = all.slice(from, from + limit);
        return { items, nextCursor: from + limit < all.length ? (items.at(-1)?.id ?? null) : null };
      },
      async credential(hash) {
        await Promise.resolve();
        const hostId = hostTokens.get(hash);
        if (hostId !== undefined) return { kind: 'host', id: hostId, name: hostId };
        const token = [...tokens.values()].find((one) => one.hash === hash);
        if (token?.revokedAt !== null) return null;
        if (token.expiresAt !== null && token.expiresAt.getTime() <= Date.now()) return null;
        const { id, name, role, path } = token;
        return { kind: 'token', id, name, role, path };
      },
    },
    admit({ id, ticket, token }) {
      if (ticket.by === 'host' && ticket.hostId !== id) {
        throw new DomainError('forbidden', 'The token of a host is for that host only.');
      }
      const used = ticket.by === 'token' ? tokens.get(ticket.tokenId) : undefined;
      if ((used?.usedBy ?? id) !== id) {
        throw new DomainError('forbidden', 'This join token was used by another host.');
      }
      if (used !== undefined) tokens.set(used.id, { ...used, usedAt: new Date(), usedBy: id });
      if (token !== undefined) hostTokens.set(hashOf(token), id);
    },
  };
}
