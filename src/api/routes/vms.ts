/** Routes about VMs. */
import { z } from 'zod';
import { idSchema } from '../../wire/fields.js';
import { vmLogsQuerySchema } from '../../wire/logs.js';
import {
  createdVmsSchema,
  createVmQuerySchema,
  createVmsSchema,
  stopVmSchema,
  vmListQuerySchema,
  vmPageSchema,
  vmSchema,
} from '../../wire/vms.js';
import { EXAMPLE_CREATE, EXAMPLE_VM } from '../examples.js';
import { route, type Route } from '../route.js';
import { createVms } from '../create-vms.js';
import { vmLogs } from '../vm-logs.js';
import { deleteVm, getVm, listVms, startVm, stopVm } from '../vms.js';
import { USERS_AND_READERS, USERS } from '../principal.js';
import { LEDGER_ERRORS, nothingSchema, CATALOGUE_ERRORS } from './common-answers.js';

/** A list of as many VMs as one request may ask for, each with constraints. */
const CREATE_BYTES_MAX = 512 * 1024;

const vmParams = z.strictObject({ id: idSchema.meta({ description: 'Id of the VM' }) });

const vmExample = { params: { id: EXAMPLE_VM.id } };

export const VM_ROUTES: readonly Route[] = [
  route({
    method: 'post',
    path: '/v1/vms',
    name: 'createVm',
    summary: 'Create VMs: hosts are chosen and booked; the VMs then start in the background',
    tag: 'VMs',
    access: USERS,
    idempotent: true,
    query: createVmQuerySchema,
    body: createVmsSchema,
    bodyBytesMax: CREATE_BYTES_MAX,
    answers: {
      202: {
        description: 'The VM with its host; with `count` or `vms`, what became of each',
        schema: z.union([vmSchema, createdVmsSchema]),
      },
    },
    errors: [
      'no_feasible_host',
      'id_conflict',
      'overloaded',
      'not_found',
      'create_in_progress',
      ...LEDGER_ERRORS,
    ],
    example: { body: EXAMPLE_CREATE, status: 202, answer: EXAMPLE_VM },
    handle: createVms,
  }),
  route({
    method: 'get',
    path: '/v1/vms',
    name: 'listVms',
    summary: 'List VMs',
    tag: 'VMs',
    access: USERS_AND_READERS,
    query: vmListQuerySchema,
    answers: { 200: { description: 'One page of VMs', schema: vmPageSchema } },
    errors: CATALOGUE_ERRORS,
    example: {
      query: { limit: '10', path: 'acme:web' },
      status: 200,
      answer: { items: [EXAMPLE_VM], nextCursor: null },
    },
    handle: listVms,
  }),
  route({
    method: 'get',
    path: '/v1/vms/:id',
    name: 'getVm',
    summary: 'Show a VM',
    tag: 'VMs',
    access: USERS_AND_READERS,
    params: vmParams,
    answers: { 200: { description: 'The VM', schema: vmSchema } },
    errors: ['not_found', ...CATALOGUE_ERRORS],
    example: { ...vmExample, status: 200, answer: EXAMPLE_VM },
    handle: getVm,
  }),
  route({
    method: 'delete',
    path: '/v1/vms/:id',
    name: 'deleteVm',
    summary: 'Delete a VM; repeating it while it is being deleted changes nothing',
    tag: 'VMs',
    access: USERS,
    params: vmParams,
    answers: { 202: { description: 'The VM, on its way out', schema: vmSchema } },
    errors: ['not_found', 'state_conflict', ...CATALOGUE_ERRORS],
    example: {
      ...vmExample,
      status: 202,
      answer: { ...EXAMPLE_VM, desiredState: 'deleted' },
    },
    handle: deleteVm,
  }),
  route({
    method: 'get',
    path: '/v1/vms/:id/logs',
    name: 'vmLogs',
    summary: 'What the serial console of a VM has said, and with `follow` what it says from now on',
    tag: 'VMs',
    access: USERS,
    params: vmParams,
    query: vmLogsQuerySchema,
    answers: { 200: { description: 'The text', contentType: 'text/plain' } },
    errors: ['not_found', 'agent_unreachable', 'agent_refused', ...CATALOGUE_ERRORS],
    example: { ...vmExample, query: { tailBytes: '4096' }, status: 200 },
    handle: vmLogs,
  }),
  route({
    method: 'post',
    path: '/v1/vms/:id/start',
    name: 'startVm',
    summary: 'Start a VM',
    tag: 'VMs',
    access: USERS,
    idempotent: true,
    params: vmParams,
    body: nothingSchema,
    answers: { 202: { description: 'The VM as it is now', schema: vmSchema } },
    errors: ['not_found', 'state_conflict', ...CATALOGUE_ERRORS],
    example: { ...vmExample, status: 202, answer: EXAMPLE_VM },
    handle: startVm,
  }),
  route({
    method: 'post',
    path: '/v1/vms/:id/stop',
    name: 'stopVm',
    summary:
      'Stop a VM, by asking its guest or with `force` at once; it keeps its host and its booking',
    tag: 'VMs',
    access: USERS,
    idempotent: true,
    params: vmParams,
    body: stopVmSchema,
    answers: { 202: { description: 'The VM as it is now', schema: vmSchema } },
    errors: [
      'not_found',
      'state_conflict',
      'agent_unreachable',
      'agent_refused',
      'stale_assignment',
      ...CATALOGUE_ERRORS,
    ],
    example: {
      ...vmExample,
      body: { force: true },
      status: 202,
      answer: { ...EXAMPLE_VM, desiredState: 'stopped' },
    },
    handle: stopVm,
  }),
];
