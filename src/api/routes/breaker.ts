/** Routes about the breaker of the fleet. */
import { breakerSchema, closeBreakerSchema, type BreakerBody } from '../../wire/breaker.js';
import { closeBreaker, showBreaker } from '../breaker.js';
import { OPERATORS, READERS } from '../principal.js';
import { route, type Route } from '../route.js';
import { CATALOGUE_ERRORS } from './common-answers.js';

const EXAMPLE: BreakerBody = {
  state: 'closed',
  since: '2026-11-21T10:00:00.000Z',
  reason: 'rack 7 has no power',
  hosts: 10,
  missing: 0,
  share: 0,
  graceUntil: null,
  lookedAt: '2026-11-21T10:00:30.000Z',
  opensAbove: { share: 0.3, hostsMin: 3, windowS: 90 },
};

export const BREAKER_ROUTES: readonly Route[] = [
  route({
    method: 'get',
    path: '/v1/ops/breaker',
    name: 'showBreaker',
    summary: 'Whether so many hosts are missing that Berth takes itself to be cut off',
    tag: 'Operations',
    access: READERS,
    answers: { 200: { description: 'The breaker, and what it goes by', schema: breakerSchema } },
    errors: CATALOGUE_ERRORS,
    example: { status: 200, answer: EXAMPLE },
    handle: showBreaker,
  }),
  route({
    method: 'post',
    path: '/v1/ops/breaker',
    name: 'closeBreaker',
    summary: 'Say that the missing hosts are really lost',
    tag: 'Operations',
    access: OPERATORS,
    idempotent: true,
    body: closeBreakerSchema,
    answers: { 200: { description: 'The breaker, closed', schema: breakerSchema } },
    errors: ['state_conflict', ...CATALOGUE_ERRORS],
    example: { body: { close: true, reason: 'rack 7 has no power' }, status: 200, answer: EXAMPLE },
    handle: closeBreaker,
  }),
];
