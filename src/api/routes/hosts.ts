/** Routes about hosts: how they join, and how the fleet is kept. */
import { z } from 'zod';
import { agentStatusSchema } from '../../wire/agent.js';
import { idSchema, pageQuerySchema } from '../../wire/fields.js';
import {
  fenceHostSchema,
  hostPageSchema,
  hostSchema,
  joinHostSchema,
  patchHostSchema,
} from '../../wire/hosts.js';
import { EXAMPLE_HOST, EXAMPLE_JOIN, EXAMPLE_STATUS } from '../examples.js';
import { acceptStatus, fenceHost, getHost, joinHost, listHosts, patchHost } from '../hosts.js';
import { route, type Route } from '../route.js';
import { AGENTS, JOINERS, READERS, OPERATORS } from '../principal.js';
import { CATALOGUE_ERRORS, LEDGER_ERRORS, nothingSchema } from './common-answers.js';

// Names are drawn from the same letters as ids.
export const hostParams = z.strictObject({
  host: idSchema.meta({ description: 'Id or name of the host', example: 'host-1' }),
});

/** A host may report thousands of VMs. */
const STATUS_BYTES_MAX = 4 * 1024 * 1024;

const hostExample = { params: { host: EXAMPLE_HOST.name } };

export const HOST_ROUTES: readonly Route[] = [
  route({
    method: 'post',
    path: '/v1/hosts',
    name: 'joinHost',
    summary: 'Join as a host, or join again; agents call this',
    tag: 'Hosts',
    access: JOINERS,
    body: joinHostSchema,
    answers: { 200: { description: 'The host, new or known', schema: hostSchema } },
    errors: ['name_conflict', 'state_conflict', ...CATALOGUE_ERRORS],
    example: {
      body: EXAMPLE_JOIN,
      status: 200,
      answer: { ...EXAMPLE_HOST, state: 'joining', lastSeenAt: null },
    },
    handle: joinHost,
  }),
  route({
    method: 'get',
    path: '/v1/hosts',
    name: 'listHosts',
    summary: 'List hosts',
    tag: 'Hosts',
    access: READERS,
    query: pageQuerySchema,
    answers: { 200: { description: 'One page of hosts', schema: hostPageSchema } },
    errors: CATALOGUE_ERRORS,
    example: {
      query: { limit: '10' },
      status: 200,
      answer: { items: [EXAMPLE_HOST], nextCursor: null },
    },
    handle: listHosts,
  }),
  route({
    method: 'get',
    path: '/v1/hosts/:host',
    name: 'getHost',
    summary: 'Show a host',
    tag: 'Hosts',
    access: READERS,
    params: hostParams,
    answers: { 200: { description: 'The host', schema: hostSchema } },
    errors: ['not_found', ...CATALOGUE_ERRORS],
    example: { ...hostExample, status: 200, answer: EXAMPLE_HOST },
    handle: getHost,
  }),
  route({
    method: 'patch',
    path: '/v1/hosts/:host',
    name: 'patchHost',
    summary: 'Cordon a host or enable it, and change what the operator says of it',
    tag: 'Hosts',
    access: OPERATORS,
    params: hostParams,
    body: patchHostSchema,
    answers: { 200: { description: 'The host as it is now', schema: hostSchema } },
    errors: ['not_found', 'state_conflict', ...CATALOGUE_ERRORS],
    example: {
      ...hostExample,
      body: {
        mode: 'cordoned',
        reason: 'new memory modules',
        owner: 'jo',
        expiresInS: 7200,
        labels: { rack: 'r7' },
      },
      status: 200,
      answer: {
        ...EXAMPLE_HOST,
        mode: 'cordoned',
        modeReason: 'new memory modules',
        modeOwner: 'jo',
        modeUntil: '2026-11-21T12:00:00.000Z',
        labels: { disk: 'ssd', rack: 'r7' },
        overrides: { labels: { rack: 'r7' } },
      },
    },
    handle: patchHost,
  }),
  route({
    method: 'post',
    path: '/v1/hosts/:host/fence',
    name: 'fenceHost',
    summary: 'Say that a host is off: its VMs go on as their onHostLoss says',
    tag: 'Hosts',
    access: OPERATORS,
    idempotent: true,
    params: hostParams,
    body: fenceHostSchema,
    answers: { 200: { description: 'The host with its fence', schema: hostSchema } },
    errors: ['not_found', 'state_conflict', ...CATALOGUE_ERRORS],
    example: {
      ...hostExample,
      body: { reason: 'its power supply burnt out' },
      status: 200,
      answer: {
        ...EXAMPLE_HOST,
        state: 'down',
        fence: {
          at: '2026-11-21T10:05:00.000Z',
          reason: 'its power supply burnt out',
          by: 'admin',
        },
      },
    },
    handle: fenceHost,
  }),
  route({
    method: 'post',
    path: '/v1/hosts/:host/status',
    name: 'pushStatus',
    summary: 'Tell how a host and its VMs are, without being asked; agents call this',
    tag: 'Hosts',
    access: AGENTS,
    params: hostParams,
    body: agentStatusSchema,
    bodyBytesMax: STATUS_BYTES_MAX,
    answers: { 202: { description: 'It is taken over', schema: nothingSchema } },
    errors: ['not_found', ...LEDGER_ERRORS],
    example: {
      params: { host: EXAMPLE_STATUS.hostId },
      body: EXAMPLE_STATUS,
      status: 202,
      answer: {},
    },
    handle: acceptStatus,
  }),
];
