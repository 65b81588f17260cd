/** Tokens: made, listed, revoked, and looked up by the hash of their secret. Time is the database's. */
import { sql, type RawBuilder } from 'kysely';
import { PATH_PATTERN } from '../model/path.js';
import type { TokenStore } from '../model/stores/tokens.js';
import type { Token, TokenRole } from '../model/token.js';
import { withActor } from './actor.js';
import type { Database } from './connection.js';
import { cursorOf, positionOf } from './cursor.js';
import { answered } from './failures.js';

export const tokensOf = (db: Database): TokenStore => ({
  createToken: (token, by) =>
    answered(() =>
      withActor(db, by, 'token.create', async (tx) => {
        const { id, prefix, hash, role, name, path, expiresInS } = token;
        await sql`
          insert into tokens (id, prefix, hash, role, name, path, created_by, expires_at)
          values (${id}, ${prefix}, ${hash}, ${role}, ${name}, ${path}, ${by.name},
                  clock_timestamp() + ${expiresInS}::float8 * interval '1 second')`.execute(tx);
        return present(await selectTokens(tx, sql`id = ${id}`));
      }),
    ),

  tokens: ({ limit, cursor }) =>
    answered(async () => {
      const after = cursor === null ? 0 : positionOf(cursor);
      const found = await selectTokens(db, sql`seq > ${after}`, limit + 1);
      const page = found.slice(0, limit);
      return {
        items: page.map(tokenOf),
        nextCursor: found.length > limit ? cursorOf(page.at(-1)?.seq ?? 0) : null,
      };
    }),

  revokeToken: (id, by) =>
    answered(() =>
      withActor(db, by, 'token.revoke', async (tx) => {
        await sql`
          update tokens set revoked_at = clock_timestamp()
          where id = ${id} and revoked_at is null`.execute(tx);
        const [row] = await selectTokens(tx, sql`id = ${id}`);
        return row === undefined ? null : tokenOf(row);
      }),
    ),

  credential: (hash) =>
    answered(async () => {
      const { rows } = await sql<CredentialRow>`
        select id, name, role, path from tokens
        where hash = ${hash} and revoked_at is null
          and (expires_at is null or expires_at > clock_timestamp())
        union all
        select id, name, null, null from hosts
        where token_hash = ${hash} and mode <> 'retired'`.execute(db);
      const [row] = rows;
      if (row === undefined) return null;
      const { id, name, role, path } = row;
      // One that opens no place that there can be opens none.
      if (path !== null && !PATH_PATTERN.test(path)) return null;
      return role === null ? { kind: 'host', id, name } : { kind: 'token', id, name, role, path };
    }),
});

/** Without a role it is a host's. */
interface CredentialRow {
  readonly id: string;
  readonly name: string;
  readonly role: TokenRole | null;
  readonly path: string | null;
}

interface TokenRow {
  readonly id: string;
  readonly seq: number;
  readonly prefix: string;
  readonly role: TokenRole;
  readonly name: string;
  readonly path: string | null;
  readonly created_by: string;
  readonly created_at: Date;
  readonly expires_at: Date | null;
  readonly revoked_at: Date | null;
  readonly used_at: Date | null;
  readonly used_by: string | null;
}

/** Every column but the hash, which nobody needs to see. */
async function selectTokens(
  db: Database,
  where: RawBuilder<unknown>,
  limit: number | null = null,
): Promise<readonly TokenRow[]> {
  const { rows } = await sql<TokenRow>`
    select id, seq, prefix, role, name, path, created_by, created_at, expires_at, revoked_at,
           used_at, used_by
    from tokens where ${where} order by seq limit ${limit}`.execute(db);
  return rows;
}

function present(rows: readonly TokenRow[]): Token {
  const [row] = rows;
  if (row === undefined) throw new Error('a token vanished while it was written');
  return tokenOf(row);
}

const tokenOf = (row: TokenRow): Token => ({
  id: row.id,
  prefix: row.prefix,
  role: row.role,
  name: row.name,
  path: row.path,
  createdAt: row.created_at,
  createdBy: row.created_by,
  expiresAt: row.expires_at,
  revokedAt: row.revoked_at,
  usedAt: row.used_at,
  usedBy: row.used_by,
});
