/** Documents as the API gives them; each is checked against its schema, so none can drift from it. */
import type { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../../src/model/errors.js';
import { hostSchema, type HostBody } from '../../src/wire/hosts.js';
import { placementSchema, type PlacementBody } from '../../src/wire/placements.js';
import { problemSchema, problemType } from '../../src/wire/problem.js';
import { vmSchema, type VmBody } from '../../src/wire/vms.js';

const AT = '2026-11-21T10:00:00.000Z';

const checked = <Schema extends z.ZodType>(schema: Schema, value: z.input<Schema>) =>
  schema.parse(value);

export const vmDocument = (changes: Partial<VmBody> = {}): VmBody =>
  checked(vmSchema, {
    id: '0b9ffb7e-7b0e-4b43-8a3c-6c6a5b0a4f1d',
    name: 'web-1',
    path: 'acme:web',
    state: 'running',
    desiredState: 'running',
    host: { id: 'h-2', name: 'host-2' },
    allocation: { bookingId: 'booking-7', assignment: 17 },
    resources: { cpu: 2, memory: 2_048, disk: 10_240 },
    users: [],
    image: null,
    constraints: {},
    onHostLoss: 'keep',
    reason: null,
    attempts: [{ host: { id: 'h-2', name: 'host-2' }, at: AT, outcome: 'placed', detail: null }],
    violations: [],
    waitUntil: null,
    createdAt: AT,
    updatedAt: AT,
    ...changes,
  });

const amount = (total: number, reserved: number, overcommit: number, allocated: number) => {
  const limit = Math.floor((total - reserved) * overcommit);
  return {
    total,
    reserved,
    overcommit,
    capacity: total * overcommit,
    limit,
    allocated,
    available: limit - allocated,
    orphaned: 0,
    used: null,
    source: 'detected' as const,
  };
};

export const hostDocument = (changes: Partial<HostBody> = {}): HostBody =>
  checked(hostSchema, {
    id: 'h-2',
    name: 'host-2',
    address: 'http://10.0.0.2:8081',
    zone: 'zone-a',
    labels: { disk: 'ssd' },
    state: 'up',
    mode: 'enabled',
    modeReason: null,
    modeOwner: null,
    modeUntil: null,
    fence: null,
    overrides: {},
    overFull: false,
    resources: {
      cpu: { ...amount(8, 0, 4, 2), unit: 'vCPU' },
      memory: { ...amount(16_384, 1_639, 1, 2_048), unit: 'MiB' },
      disk: { ...amount(102_400, 10_240, 1, 10_240), unit: 'MiB' },
    },
    vms: 1,
    lastSeenAt: AT,
    agent: { version: '0.1.0', bootId: 'boot-1' },
    notEnforced: [],
    createdAt: AT,
    ...changes,
  });

const share = (cpu: number, memory: number, disk: number) => ({ cpu, memory, disk });

export const candidate = (
  rank: number,
  name: string,
  score: number,
  remaining = share(0.9, 0.8, 0.75),
) => ({
  host: { id: `id-of-${name}`, name },
  rank,
  score,
  violations: [],
  remaining,
  requested: share(0.0625, 0.125, 0.1),
});

export const placementDocument = (changes: Partial<PlacementBody> = {}): PlacementBody =>
  checked(placementSchema, {
    strategy: 'cosine',
    request: { resources: { cpu: 2, memory: 2_048, disk: 10_240 }, constraints: {}, path: 'root' },
    chosen: 'id-of-host-2',
    explanation: 'host-2 is chosen: why it is.',
    candidates: [candidate(1, 'host-2', 0.98765), candidate(2, 'host-1', 0.5)],
    rejected: [
      {
        host: { id: 'h-3', name: 'host-3' },
        reasons: [
          {
            code: 'insufficient',
            resource: 'memory',
            requested: 2_048,
            available: 512,
            limit: 14_745,
          },
        ],
      },
      { host: { id: 'h-4', name: 'host-4' }, reasons: [{ code: 'cordoned' }] },
    ],
    summary: {
      considered: 4,
      feasible: 2,
      byReason: { insufficient: 1, cordoned: 1 },
      nearest: null,
    },
    ...changes,
  });

/** Why nobody can take a VM: nothing fits, and host-3 comes nearest. */
export const NOWHERE: PlacementBody['summary'] = {
  considered: 2,
  feasible: 0,
  byReason: { insufficient: 1, cordoned: 1 },
  nearest: { host: { id: 'h-3', name: 'host-3' }, missing: { memory: 1_536 } },
};

export const problemDocument = (code: ErrorCode, changes: Readonly<Record<string, unknown>> = {}) =>
  checked(problemSchema, {
    type: problemType(code),
    title: ERROR_CODES[code].title,
    status: ERROR_CODES[code].status,
    code,
    detail: `${ERROR_CODES[code].title}.`,
    requestId: 'request-42',
    ...changes,
  });
