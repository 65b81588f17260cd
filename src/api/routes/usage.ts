/** Routes about usage: how much of the fleet is booked and used, now and before. */
import {
  usageHistoryQuerySchema,
  usageHistorySchema,
  usageQuerySchema,
  usageSchema,
  type UsageBody,
  type UsageHistoryBody,
} from '../../wire/usage.js';
import { EXAMPLE_HOST } from '../examples.js';
import { READERS } from '../principal.js';
import { route, type Route } from '../route.js';
import { showUsage, showUsageHistory } from '../usage.js';
import { CATALOGUE_ERRORS } from './common-answers.js';

const EXAMPLE_RESOURCES = {
  cpu: { capacity: 32, limit: 32, booked: 2, used: 1, unit: 'vCPU' },
  memory: { capacity: 16384, limit: 14745, booked: 2048, used: 3120, unit: 'MiB' },
  disk: { capacity: 102400, limit: 92160, booked: 10240, used: null, unit: 'MiB' },
};

const EXAMPLE_USAGE: UsageBody = {
  at: '2026-11-21T10:00:00.000Z',
  total: EXAMPLE_RESOURCES,
  zones: [{ zone: EXAMPLE_HOST.zone, hosts: 1, resources: EXAMPLE_RESOURCES }],
};

const EXAMPLE_HISTORY: UsageHistoryBody = {
  items: [
    {
      at: '2026-11-21T09:00:00.000Z',
      resources: {
        cpu: {
          ...{ capacity: 32, limit: 32, booked: 1.5, used: 0.7 },
          ...{ bookedMax: 2, usedMax: 1.8, unit: 'vCPU' },
        },
      },
    },
  ],
  nextCursor: null,
};

export const USAGE_ROUTES: readonly Route[] = [
  route({
    method: 'get',
    path: '/v1/usage',
    name: 'showUsage',
    summary: 'Capacity, limit, what is booked and what is really used: in all, by zone, by host',
    tag: 'Usage',
    access: READERS,
    query: usageQuerySchema,
    answers: { 200: { description: 'The usage as it is now', schema: usageSchema } },
    errors: CATALOGUE_ERRORS,
    example: { query: { by: 'zone' }, status: 200, answer: EXAMPLE_USAGE },
    handle: showUsage,
  }),
  route({
    method: 'get',
    path: '/v1/usage/history',
    name: 'showUsageHistory',
    summary: 'Usage over time: every 5 minutes of a week, every hour of a year',
    tag: 'Usage',
    access: READERS,
    query: usageHistoryQuerySchema,
    answers: {
      200: { description: 'One page of samples in order of time', schema: usageHistorySchema },
    },
    errors: ['not_found', ...CATALOGUE_ERRORS],
    example: {
      query: { scope: 'zone', id: EXAMPLE_HOST.zone, step: '1h', limit: '24' },
      status: 200,
      answer: EXAMPLE_HISTORY,
    },
    handle: showUsageHistory,
  }),
];
