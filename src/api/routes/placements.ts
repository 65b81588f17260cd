/** Where a VM would go, and why. */
import { placementRequestSchema, placementSchema } from '../../wire/placements.js';
import { EXAMPLE_PLACEMENT } from '../examples.js';
import { explainPlacement } from '../placements.js';
import { route, type Route } from '../route.js';
import { READERS } from '../principal.js';
import { LEDGER_ERRORS } from './common-answers.js';

export const PLACEMENT_ROUTES: readonly Route[] = [
  route({
    method: 'post',
    path: '/v1/placements',
    name: 'explainPlacement',
    summary: 'Explain where a VM would go, host by host; nothing is booked',
    tag: 'Placements',
    access: READERS,
    body: placementRequestSchema,
    answers: { 200: { description: 'The decision and its reasons', schema: placementSchema } },
    errors: LEDGER_ERRORS,
    example: {
      body: { resources: { cpu: 2, memory: 2048, disk: 10240 } },
      status: 200,
      answer: EXAMPLE_PLACEMENT,
    },
    handle: explainPlacement,
  }),
];
