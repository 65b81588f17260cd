/** Tokens in the catalogue's double, and whom a secret belongs to. */
import type { TokenStore } from '../../model/stores/tokens.js';
import type { NewToken, Token } from '../../model/token.js';
import { pageOf, positionOf } from './cursors.js';
import { dateOf, dateOrNull } from './facts.js';
import type { TokenRow } from './rows.js';
import { answered, type Tables } from './tables.js';
import { hostsInService, inOrder } from './views.js';
import { putToken } from './writing.js';

export const tokensOf = (tables: Tables): TokenStore => ({
  createToken: (token, by) =>
    answered(tables, () => tokenOf(create(tables, token, by.name)), { by, action: 'token.create' }),

  tokens: ({ limit, cursor }) =>
    answered(tables, () => {
      const after = cursor === null ? 0 : positionOf(cursor);
      const found = inOrder(tables.tokens.rows()).filter(({ seq }) => seq > after);
      return pageOf(found, limit, ({ seq }) => seq, tokenOf);
    }),

  revokeToken: (id, by) =>
    answered(
      tables,
      () => {
        const token = tables.tokens.get(id);
        if (token === undefined) return null;
        const revoked = { ...token, revokedAt: token.revokedAt ?? tables.now() };
        putToken(tables, revoked);
        return tokenOf(revoked);
      },
      { by, action: 'token.revoke' },
    ),

  credential: (hash) =>
    answered(tables, () => {
      const now = tables.now();
      for (const token of tables.tokens.rows()) {
        const isOpen = token.revokedAt === null && (token.expiresAt ?? Infinity) > now;
        const { id, name, role, path } = token;
        if (token.hash === hash && isOpen) return { kind: 'token' as const, id, name, role, path };
      }
      const host = hostsInService(tables).find(({ tokenHash }) => tokenHash === hash);
      return host === undefined ? null : { kind: 'host' as const, id: host.id, name: host.name };
    }),
});

function create(tables: Tables, token: NewToken, createdBy: string): TokenRow {
  const { id, prefix, hash, role, name, path, expiresInS } = token;
  for (const other of tables.tokens.rows()) {
    if (other.id === id || other.hash === hash) throw new Error('violates a check: a token twice');
  }
  const now = tables.now();
  const row: TokenRow = {
    ...{ id, prefix, hash, role, name, path, createdBy },
    seq: tables.draw('token'),
    createdAt: now,
    expiresAt: expiresInS === null ? null : now + expiresInS * 1_000,
    ...{ revokedAt: null, usedAt: null, usedBy: null },
  };
  putToken(tables, row);
  return row;
}

const tokenOf = (row: TokenRow): Token => ({
  id: row.id,
  prefix: row.prefix,
  role: row.role,
  name: row.name,
  path: row.path,
  createdAt: dateOf(row.createdAt),
  createdBy: row.createdBy,
  expiresAt: dateOrNull(row.expiresAt),
  revokedAt: dateOrNull(row.revokedAt),
  usedAt: dateOrNull(row.usedAt),
  usedBy: row.usedBy,
});
