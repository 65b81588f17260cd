/** Making and revoking tokens. Who may do so, the API decides; the secret is told once, here. */
import { DomainError } from '../model/errors.js';
import type { Token, TokenRole } from '../model/token.js';
import { hashOf, newSecret, prefixOf } from '../std/secret.js';
import type { Caller } from './caller.js';
import type { Ports } from './ports.js';

export interface CreateTokenInput {
  readonly name: string;
  readonly role: TokenRole;
  /** For a tenant, and for nobody else. */
  readonly path?: string | undefined;
  /** Seconds from now; absent: a day for a join token, never for others. */
  readonly expiresInS?: number | undefined;
}

export interface TokenVerbs {
  /** @returns the token, and its secret, which is nowhere to be had afterwards */
  createToken(
    input: CreateTokenInput,
    by: Caller,
  ): Promise<{ readonly token: Token; readonly secret: string }>;
  /**
   * The token opens nothing any more, on any replica. A repeat changes nothing.
   * @throws DomainError `not_found`
   */
  revokeToken(id: string, by: Caller): Promise<Token>;
}

const KIND = 'berth_';

/** Long enough to carry it to a machine; what is forgotten in a file shall not open a door later. */
const JOIN_TOKEN_S = 86_400;

export const tokenVerbs = ({ catalogue, ...ports }: Ports): TokenVerbs => ({
  async createToken({ name, role, path, expiresInS }, { actor, log }) {
    const secret = newSecret(KIND);
    const token = await catalogue.createToken(
      {
        id: ports.newId(),
        prefix: prefixOf(secret, KIND),
        hash: hashOf(secret),
        role,
        name,
        path: path ?? null,
        expiresInS: expiresInS ?? (role === 'join' ? JOIN_TOKEN_S : null),
      },
      actor,
    );
    log.info('token created', { tokenId: token.id, role, name });
    return { token, secret };
  },
  async revokeToken(id, { actor, log }) {
    const token = await catalogue.revokeToken(id, actor);
    if (token === null) throw new DomainError('not_found', `There is no token ${id}.`);
    log.info('token revoked', { tokenId: id, role: token.role, name: token.name });
    return token;
  },
});
