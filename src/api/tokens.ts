/** The handlers of `/v1/tokens`, and how a token is shown: without its secret, but for once. */
import type { z } from 'zod';
import type { Token } from '../model/token.js';
import type { pageQuerySchema } from '../wire/fields.js';
import type { CreateTokenBody, NewTokenBody, TokenBody } from '../wire/tokens.js';
import type { Answer, ApiPorts, Call } from './route.js';

export async function createToken(
  { body, by }: Call<undefined, undefined, CreateTokenBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  const { token, secret } = await control.createToken(body, by);
  const json: NewTokenBody = { ...tokenBody(token), token: secret };
  return { status: 201, json };
}

export async function listTokens(
  { query }: Call<undefined, z.infer<typeof pageQuerySchema>>,
  { catalogue }: ApiPorts,
): Promise<Answer> {
  const { limit, cursor = null } = query;
  const page = await catalogue.tokens({ limit, cursor });
  return {
    status: 200,
    json: { items: page.items.map(tokenBody), nextCursor: page.nextCursor },
  };
}

export async function revokeToken(
  { params, by }: Call<{ readonly id: string }>,
  { control }: ApiPorts,
): Promise<Answer> {
  return { status: 200, json: tokenBody(await control.revokeToken(params.id, by)) };
}

const tokenBody = (token: Token): TokenBody => ({
  id: token.id,
  prefix: token.prefix,
  role: token.role,
  name: token.name,
  path: token.path,
  createdAt: token.createdAt.toISOString(),
  createdBy: token.createdBy,
  expiresAt: token.expiresAt?.toISOString() ?? null,
  revokedAt: token.revokedAt?.toISOString() ?? null,
  usedAt: token.usedAt?.toISOString() ?? null,
  usedBy: token.usedBy,
});
