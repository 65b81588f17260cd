/** Routes that take a host out: drain, and retirement. */
import {
  drainRequestSchema,
  drainSchema,
  retireQuerySchema,
  type DrainBody,
} from '../../wire/drains.js';
import { hostSchema } from '../../wire/hosts.js';
import { cancelDrain, drainHost, getDrain, retireHost } from '../drains.js';
import { EXAMPLE_HOST, EXAMPLE_VM } from '../examples.js';
import { OPERATORS, READERS } from '../principal.js';
import { route, type Route } from '../route.js';
import { CATALOGUE_ERRORS, LEDGER_ERRORS } from './common-answers.js';
import { hostParams } from './hosts.js';

const TARGET = { id: '5d0f9a4c-9a57-4b7e-8f3c-0f4a6b2d7e21', name: 'host-2' };

const EXAMPLE_DRAIN: DrainBody = {
  host: { id: EXAMPLE_HOST.id, name: EXAMPLE_HOST.name },
  state: 'planned',
  reason: 'disk replacement',
  owner: 'jo',
  startedAt: '2026-11-21T10:00:00.000Z',
  endedAt: null,
  moves: [
    {
      vm: { id: EXAMPLE_VM.id, name: EXAMPLE_VM.name },
      state: 'planned',
      planned: TARGET,
      target: null,
      detail: null,
      summary: null,
    },
  ],
};

const hostExample = { params: { host: EXAMPLE_HOST.name } };

export const DRAIN_ROUTES: readonly Route[] = [
  route({
    method: 'post',
    path: '/v1/hosts/:host/drain',
    name: 'drainHost',
    summary: 'Move every VM away from a host, one after another, or only answer the plan',
    tag: 'Hosts',
    access: OPERATORS,
    idempotent: true,
    params: hostParams,
    body: drainRequestSchema,
    answers: {
      200: { description: 'The plan of a dry run', schema: drainSchema },
      202: { description: 'The drain with its plan', schema: drainSchema },
    },
    errors: ['not_found', 'state_conflict', ...LEDGER_ERRORS],
    example: {
      ...hostExample,
      body: { dryRun: true, reason: 'disk replacement', owner: 'jo' },
      status: 200,
      answer: EXAMPLE_DRAIN,
    },
    handle: drainHost,
  }),
  route({
    method: 'get',
    path: '/v1/hosts/:host/drain',
    name: 'getDrain',
    summary: 'Show the last drain of a host: what has moved where, and what is blocked',
    tag: 'Hosts',
    access: READERS,
    params: hostParams,
    answers: { 200: { description: 'The drain', schema: drainSchema } },
    errors: ['not_found', ...CATALOGUE_ERRORS],
    example: {
      ...hostExample,
      status: 200,
      answer: {
        ...EXAMPLE_DRAIN,
        state: 'draining',
        moves: EXAMPLE_DRAIN.moves.map((move) => ({ ...move, state: 'moving', target: TARGET })),
      },
    },
    handle: getDrain,
  }),
  route({
    method: 'delete',
    path: '/v1/hosts/:host/drain',
    name: 'cancelDrain',
    summary: 'Cancel a drain: the host is what it was before, and what is still there stays',
    tag: 'Hosts',
    access: OPERATORS,
    params: hostParams,
    answers: { 200: { description: 'The drain as it ended', schema: drainSchema } },
    errors: ['not_found', ...CATALOGUE_ERRORS],
    example: {
      ...hostExample,
      status: 200,
      answer: {
        ...EXAMPLE_DRAIN,
        state: 'cancelled',
        endedAt: '2026-11-21T10:05:00.000Z',
        moves: EXAMPLE_DRAIN.moves.map((move) => ({ ...move, state: 'cancelled' })),
      },
    },
    handle: cancelDrain,
  }),
  route({
    method: 'delete',
    path: '/v1/hosts/:host',
    name: 'retireHost',
    summary: 'Take a host out for good: an empty one, or any by force and with a reason',
    tag: 'Hosts',
    access: OPERATORS,
    params: hostParams,
    query: retireQuerySchema,
    answers: { 200: { description: 'The host as it was retired', schema: hostSchema } },
    errors: ['not_found', 'host_not_empty', ...CATALOGUE_ERRORS],
    example: {
      ...hostExample,
      query: { force: 'true', reason: 'burnt down' },
      status: 200,
      answer: { ...EXAMPLE_HOST, mode: 'retired', modeReason: 'burnt down', vms: 0 },
    },
    handle: retireHost,
  }),
];
