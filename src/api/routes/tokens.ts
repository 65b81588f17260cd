/** Routes about tokens. */
import { z } from 'zod';
import { idSchema, pageQuerySchema } from '../../wire/fields.js';
import {
  createTokenSchema,
  newTokenSchema,
  tokenPageSchema,
  tokenSchema,
  type TokenBody,
} from '../../wire/tokens.js';
import { ADMINS } from '../principal.js';
import { route, type Route } from '../route.js';
import { createToken, listTokens, revokeToken } from '../tokens.js';
import { CATALOGUE_ERRORS } from './common-answers.js';

export const EXAMPLE_TOKEN: TokenBody = {
  id: '7c1e2b1a-9d3c-4a57-8a0e-2f6d5c1b9e42',
  prefix: 'berth_q3Fz9',
  role: 'tenant',
  name: 'acme-console',
  path: 'acme',
  createdAt: '2026-11-21T10:00:00.000Z',
  createdBy: 'admin',
  expiresAt: '2026-12-21T10:00:00.000Z',
  revokedAt: null,
  usedAt: null,
  usedBy: null,
};

export const TOKEN_ROUTES: readonly Route[] = [
  route({
    method: 'post',
    path: '/v1/tokens',
    name: 'createToken',
    summary: 'Make a token; its secret is in this answer and nowhere else',
    tag: 'Tokens',
    access: ADMINS,
    body: createTokenSchema,
    answers: { 201: { description: 'The token with its secret', schema: newTokenSchema } },
    errors: CATALOGUE_ERRORS,
    example: {
      body: { name: 'acme-console', role: 'tenant', path: 'acme', expiresInS: 2_592_000 },
      status: 201,
      answer: { ...EXAMPLE_TOKEN, token: `${EXAMPLE_TOKEN.prefix}${'.'.repeat(38)}` },
    },
    handle: createToken,
  }),
  route({
    method: 'get',
    path: '/v1/tokens',
    name: 'listTokens',
    summary: 'List tokens, without their secrets',
    tag: 'Tokens',
    access: ADMINS,
    query: pageQuerySchema,
    answers: { 200: { description: 'One page of tokens', schema: tokenPageSchema } },
    errors: CATALOGUE_ERRORS,
    example: {
      query: { limit: '10' },
      status: 200,
      answer: { items: [EXAMPLE_TOKEN], nextCursor: null },
    },
    handle: listTokens,
  }),
  route({
    method: 'delete',
    path: '/v1/tokens/:id',
    name: 'revokeToken',
    summary: 'Revoke a token at once; repeating it changes nothing',
    tag: 'Tokens',
    access: ADMINS,
    params: z.strictObject({ id: idSchema.meta({ description: 'Id of the token' }) }),
    answers: { 200: { description: 'The token, which opens nothing now', schema: tokenSchema } },
    errors: ['not_found', ...CATALOGUE_ERRORS],
    example: {
      params: { id: EXAMPLE_TOKEN.id },
      status: 200,
      answer: { ...EXAMPLE_TOKEN, revokedAt: '2026-11-22T08:30:00.000Z' },
    },
    handle: revokeToken,
  }),
];
