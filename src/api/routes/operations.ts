/** Operations, health and metrics. */
import { z } from 'zod';
import { readinessSchema, rebuildRequestSchema, rebuildSchema } from '../../wire/ops.js';
import { EXAMPLE_READY, EXAMPLE_REBUILD } from '../examples.js';
import { live, ready, rebuildLedger, showMetrics } from '../ops.js';
import { route, type Route } from '../route.js';
import { PUBLIC, READERS, OPERATORS } from '../principal.js';
import { LEDGER_ERRORS } from './common-answers.js';

const liveSchema = z.strictObject({ ok: z.literal(true) }).meta({ id: 'Liveness' });

export const OPERATION_ROUTES: readonly Route[] = [
  route({
    method: 'post',
    path: '/v1/ops/rebuild',
    name: 'rebuildLedger',
    summary: 'Rebuild the ledger from the catalogue, or only tell how they differ',
    tag: 'Operations',
    access: OPERATORS,
    idempotent: true,
    body: rebuildRequestSchema,
    answers: { 200: { description: 'The drift per host', schema: rebuildSchema } },
    errors: LEDGER_ERRORS,
    example: { body: { dryRun: true }, status: 200, answer: EXAMPLE_REBUILD },
    handle: rebuildLedger,
  }),
  route({
    method: 'get',
    path: '/healthz',
    name: 'live',
    summary: 'Whether the process lives',
    tag: 'Operations',
    access: PUBLIC,
    anyQuery: true,
    quiet: true,
    answers: { 200: { description: 'It does', schema: liveSchema } },
    errors: [],
    example: { status: 200, answer: { ok: true } },
    handle: live,
  }),
  route({
    method: 'get',
    path: '/readyz',
    name: 'ready',
    summary: 'Whether VMs can be placed, and the state of each dependency',
    tag: 'Operations',
    access: PUBLIC,
    anyQuery: true,
    quiet: true,
    answers: {
      200: { description: 'Ready', schema: readinessSchema },
      503: { description: 'Not ready', schema: readinessSchema },
    },
    errors: [],
    example: { status: 200, answer: EXAMPLE_READY },
    handle: ready,
  }),
  route({
    method: 'get',
    path: '/metrics',
    name: 'metrics',
    summary: 'Metrics in the text format of Prometheus',
    tag: 'Operations',
    access: READERS,
    anyQuery: true,
    answers: { 200: { description: 'The metrics', contentType: 'text/plain' } },
    errors: [],
    example: { status: 200 },
    handle: showMetrics,
  }),
];
