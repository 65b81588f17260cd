/** Examples for the OpenAPI document. A test sends each of them and holds the answers to them. */
import type { AgentStatusBody } from '../wire/agent.js';
import type { HostBody, JoinHostBody } from '../wire/hosts.js';
import type { ImageBody, ImageOnHostsBody } from '../wire/images.js';
import type { RebuildBody } from '../wire/ops.js';
import type { PlacementBody } from '../wire/placements.js';
import type { CreateVmBody, VmBody } from '../wire/vms.js';

const EXAMPLE_USERS: VmBody['users'] = [
  {
    name: 'jo',
    sshKeys: [
      'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBhw1rZ0Fv5cVr6lDMcX2tCyJw3l0VYy1eZQm4n3b0aQ jo@example.org',
    ],
  },
];

export const EXAMPLE_CREATE: CreateVmBody = {
  id: '0b9ffb7e-7b0e-4b43-8a3c-6c6a5b0a4f1d',
  name: 'web-1',
  path: 'acme:web',
  resources: { cpu: 2, memory: 2048, disk: 10240 },
  image: 'debian-12',
  users: EXAMPLE_USERS,
  constraints: { zone: 'zone-a', labels: { required: { disk: 'ssd' } } },
};

const HOST_REF = { id: 'f3c2a4de-5a55-4c1c-a3f0-2a8e1c1f9b10', name: 'host-1' };

export const EXAMPLE_VM: VmBody = {
  id: '0b9ffb7e-7b0e-4b43-8a3c-6c6a5b0a4f1d',
  name: 'web-1',
  path: 'acme:web',
  state: 'placed',
  desiredState: 'running',
  host: HOST_REF,
  allocation: { bookingId: '5d1ce5b0-3f51-4b2a-9f5a-1b6f2a2f7c11', assignment: 41 },
  resources: { cpu: 2, memory: 2048, disk: 10240 },
  image: 'debian-12',
  users: EXAMPLE_USERS,
  constraints: { zone: 'zone-a', labels: { required: { disk: 'ssd' } } },
  onHostLoss: 'keep',
  reason: null,
  attempts: [{ host: HOST_REF, at: '2026-11-21T10:00:00.000Z', outcome: 'placed', detail: null }],
  violations: [],
  waitUntil: null,
  createdAt: '2026-11-21T10:00:00.000Z',
  updatedAt: '2026-11-21T10:00:00.000Z',
};

export const EXAMPLE_JOIN: JoinHostBody = {
  ...HOST_REF,
  address: 'http://127.0.0.1:8081',
  credential: 'an-example-that-opens-no-door-0123',
  zone: 'zone-a',
  labels: { disk: 'ssd' },
  totals: {
    cpu: { total: 8, source: 'detected' },
    memory: { total: 16384, source: 'detected' },
    disk: { total: 102400, source: 'configured' },
  },
  agent: { version: '0.1.0', bootId: '7f9d1f0c-8f0e-4f3e-9a68-0d2a3f9e6b55' },
};

export const EXAMPLE_HOST: HostBody = {
  ...HOST_REF,
  address: 'http://127.0.0.1:8081',
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
    cpu: {
      total: 8,
      reserved: 0,
      overcommit: 4,
      capacity: 32,
      limit: 32,
      allocated: 2,
      available: 30,
      orphaned: 0,
      used: 1,
      source: 'detected',
      unit: 'vCPU',
    },
    memory: {
      total: 16384,
      reserved: 1639,
      overcommit: 1,
      capacity: 16384,
      limit: 14745,
      allocated: 2048,
      available: 12697,
      orphaned: 0,
      used: 3120,
      source: 'detected',
      unit: 'MiB',
    },
    disk: {
      total: 102400,
      reserved: 10240,
      overcommit: 1,
      capacity: 102400,
      limit: 92160,
      allocated: 10240,
      available: 81920,
      orphaned: 0,
      used: null,
      source: 'configured',
      unit: 'MiB',
    },
  },
  vms: 1,
  lastSeenAt: '2026-11-21T10:00:00.000Z',
  agent: { version: '0.1.0', bootId: '7f9d1f0c-8f0e-4f3e-9a68-0d2a3f9e6b55' },
  notEnforced: [],
  createdAt: '2026-11-21T09:00:00.000Z',
};

export const EXAMPLE_STATUS: AgentStatusBody = {
  hostId: HOST_REF.id,
  version: '0.1.0',
  bootId: EXAMPLE_JOIN.agent.bootId,
  report: 1_795_255_200_000,
  uptimeS: 86_400,
  load: [0.4, 0.3, 0.2],
  totals: EXAMPLE_JOIN.totals,
  used: { cpu: 1, memory: 3120 },
  allocated: EXAMPLE_VM.resources,
  driver: 'simulated',
  vms: [
    {
      id: EXAMPLE_VM.id,
      assignment: 41,
      state: 'running',
      resources: EXAMPLE_VM.resources,
      reason: null,
    },
  ],
};

export const EXAMPLE_PLACEMENT: PlacementBody = {
  strategy: 'cosine',
  request: { resources: { cpu: 2, memory: 2048, disk: 10240 }, constraints: {}, path: 'root' },
  chosen: HOST_REF.id,
  explanation: `${HOST_REF.name} is chosen: of 2 hosts it is the only one that fits.`,
  candidates: [
    {
      host: HOST_REF,
      rank: 1,
      score: 0.966,
      addends: { alignment: 0.966 },
      violations: [],
      remaining: { cpu: 1, memory: 1, disk: 1 },
      requested: { cpu: 0.0625, memory: 0.125, disk: 0.1 },
    },
  ],
  rejected: [
    {
      host: { id: 'e1f5', name: 'host-2' },
      reasons: [
        { code: 'insufficient', resource: 'memory', requested: 2048, available: 512, limit: 14745 },
      ],
    },
  ],
  summary: { considered: 2, feasible: 1, byReason: { insufficient: 1 }, nearest: null },
};

export const EXAMPLE_REBUILD: RebuildBody = {
  dryRun: true,
  durationMs: 12,
  vms: 1,
  hosts: [{ ...HOST_REF, drift: {}, driftAfter: null }],
};

export const EXAMPLE_READY = {
  ready: true,
  dependencies: {
    ledger: { state: 'ready', detail: null },
    catalogue: { state: 'ready', detail: null },
    fleet: { state: 'ready', detail: null },
  },
};

export const EXAMPLE_IMAGE: ImageBody = {
  name: 'debian-12',
  hosts: [
    {
      host: HOST_REF,
      format: 'qcow2',
      bytes: 344_457_216,
      virtualBytes: 2_147_483_648,
      digest: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
      addedAt: '2026-11-21T10:00:00.000Z',
    },
  ],
};

export const EXAMPLE_IMAGE_ADDED: ImageOnHostsBody = {
  name: EXAMPLE_IMAGE.name,
  hosts: [{ host: HOST_REF, outcome: 'done', detail: null }],
};
