/** Routes about what is wrong in the books. */
import { repairRequestSchema, verifySchema, type VerifyBody } from '../../wire/verify.js';
import { EXAMPLE_HOST } from '../examples.js';
import { OPERATORS, READERS } from '../principal.js';
import { route, type Route } from '../route.js';
import { repair, verify } from '../verify.js';
import { LEDGER_ERRORS } from './common-answers.js';

const EXAMPLE_REPORT: VerifyBody = {
  dryRun: true,
  durationMs: 1043,
  hosts: 1,
  bookings: 1,
  unchecked: 0,
  findings: [
    {
      code: 'ledger_drift',
      subject: { kind: 'host', id: EXAMPLE_HOST.id, name: EXAMPLE_HOST.name },
      detail: 'What the ledger carries for the host is not what the catalogue has booked there.',
      expected: { cpu: 2, memory: 2048, disk: 10240 },
      found: { cpu: 4, memory: 4096, disk: 20480 },
      repairable: true,
    },
  ],
};

export const VERIFY_ROUTES: readonly Route[] = [
  route({
    method: 'get',
    path: '/v1/ops/verify',
    name: 'verifyBooks',
    summary: 'Look for what is wrong in catalogue, ledger and reports of the hosts',
    tag: 'Operations',
    access: READERS,
    answers: { 200: { description: 'What stands in two looks', schema: verifySchema } },
    errors: LEDGER_ERRORS,
    example: { status: 200, answer: EXAMPLE_REPORT },
    handle: verify,
  }),
  route({
    method: 'post',
    path: '/v1/ops/verify',
    name: 'repairBooks',
    summary: 'The same, and mend what is safe to mend; a dry run unless told otherwise',
    tag: 'Operations',
    access: OPERATORS,
    idempotent: true,
    body: repairRequestSchema,
    answers: { 200: { description: 'What was found, and what is mended', schema: verifySchema } },
    errors: LEDGER_ERRORS,
    example: { body: { dryRun: true }, status: 200, answer: EXAMPLE_REPORT },
    handle: repair,
  }),
];
