/** Routes about what hosts report and what is recorded, where the two differ. */
import { z } from 'zod';
import { idSchema } from '../../wire/fields.js';
import { adoptSchema, orphanSchema, straysSchema, type OrphanBody } from '../../wire/orphans.js';
import { vmSchema } from '../../wire/vms.js';
import { EXAMPLE_HOST, EXAMPLE_VM } from '../examples.js';
import { adoptOrphan, destroyOrphan, listStrays } from '../orphans.js';
import { OPERATORS, READERS } from '../principal.js';
import { route, type Route } from '../route.js';
import { CATALOGUE_ERRORS, nothingSchema } from './common-answers.js';

const orphanParams = z.strictObject({
  host: idSchema.meta({ description: 'Id or name of the host', example: 'host-1' }),
  vm: idSchema.meta({ description: 'Id under which the host has the VM', example: 'web-7' }),
});

const HOST = { id: EXAMPLE_HOST.id, name: EXAMPLE_HOST.name };

const EXAMPLE_ORPHAN: OrphanBody = {
  host: HOST,
  vmId: 'web-7',
  state: 'running',
  resources: { cpu: 2, memory: 2048, disk: 10240 },
  assignment: 7,
  firstSeenAt: '2026-11-21T10:00:00.000Z',
  lastSeenAt: '2026-11-21T10:01:00.000Z',
  recordedOn: null,
  leaving: false,
};

const params = { host: HOST.name, vm: EXAMPLE_ORPHAN.vmId };

export const ORPHAN_ROUTES: readonly Route[] = [
  route({
    method: 'get',
    path: '/v1/ops/orphans',
    name: 'listOrphans',
    summary: 'List VMs that run without a record, and recorded ones that their hosts do not have',
    tag: 'Operations',
    access: READERS,
    answers: { 200: { description: 'Both, as two reports in a row said', schema: straysSchema } },
    errors: CATALOGUE_ERRORS,
    example: {
      status: 200,
      answer: {
        orphans: [EXAMPLE_ORPHAN],
        missing: [
          {
            vm: { id: EXAMPLE_VM.id, name: EXAMPLE_VM.name },
            host: HOST,
            since: '2026-11-21T10:00:00.000Z',
            strikes: 2,
            onMissing: 'mark',
          },
        ],
      },
    },
    handle: listStrays,
  }),
  route({
    method: 'post',
    path: '/v1/ops/orphans/:host/:vm/adopt',
    name: 'adoptOrphan',
    summary: 'Record an orphan as a VM of the host on which it runs',
    tag: 'Operations',
    access: OPERATORS,
    idempotent: true,
    params: orphanParams,
    body: adoptSchema,
    answers: {
      202: { description: 'The VM; its host is told in the background', schema: vmSchema },
    },
    errors: ['not_found', 'id_conflict', 'state_conflict', ...CATALOGUE_ERRORS],
    example: {
      params,
      body: { name: 'web-7', path: 'acme:web' },
      status: 202,
      answer: { ...EXAMPLE_VM, id: 'web-7', name: 'web-7', constraints: {}, image: null },
    },
    handle: adoptOrphan,
  }),
  route({
    method: 'post',
    path: '/v1/ops/orphans/:host/:vm/destroy',
    name: 'destroyOrphan',
    summary: 'Have an orphan removed by its host, with its disk',
    tag: 'Operations',
    access: OPERATORS,
    idempotent: true,
    params: orphanParams,
    body: nothingSchema,
    answers: { 202: { description: 'It is told to go until it is gone', schema: orphanSchema } },
    errors: ['not_found', ...CATALOGUE_ERRORS],
    example: { params, body: {}, status: 202, answer: { ...EXAMPLE_ORPHAN, leaving: true } },
    handle: destroyOrphan,
  }),
];
