/** Plans: how many more fit, which moves would gain, what a load would do. Nothing is booked. */
import {
  capacityRequestSchema,
  capacitySchema,
  rebalanceRequestSchema,
  rebalanceSchema,
  simulationRequestSchema,
  simulationSchema,
  type CapacityBody,
  type RebalanceBody,
  type SimulationBody,
} from '../../wire/planner.js';
import { EXAMPLE_HOST } from '../examples.js';
import { adviseMoves, planCapacity, simulateLoad } from '../planner.js';
import { OPERATORS } from '../principal.js';
import { route, type Route } from '../route.js';
import { LEDGER_ERRORS } from './common-answers.js';

/** Two thousand hosts and as many kinds of requests. */
const SIMULATION_BYTES_MAX = 4 * 1024 * 1024;

const PLAN_ERRORS = ['plan_too_long', 'overloaded', ...LEDGER_ERRORS] as const;

const HOST_REF = { id: EXAMPLE_HOST.id, name: EXAMPLE_HOST.name };

const SMALL = { cpu: 2, memory: 4096, disk: 20480 };

const EXAMPLE_CAPACITY: CapacityBody = {
  flavors: [
    {
      name: 'small',
      resources: SMALL,
      alone: 3,
      tiered: 3,
      zones: { 'zone-a': 3 },
      pooled: 3,
      bottleneck: { resource: 'memory', hosts: 1, of: 1 },
      added: null,
    },
  ],
  spare: [
    {
      zone: 'zone-a',
      hosts: 1,
      spared: 0,
      unspared: [{ host: HOST_REF, vms: 1, stranded: 1, reason: 'excluded' }],
    },
  ],
};

const EXAMPLE_BALANCE = {
  unevenness: 0.11,
  emptyHosts: 0,
  fullest: { host: HOST_REF, share: 0.139 },
};

const EXAMPLE_ADVICE: RebalanceBody = {
  goal: 'spread',
  moves: [],
  isSettled: true,
  before: EXAMPLE_BALANCE,
  after: EXAMPLE_BALANCE,
};

const EXAMPLE_SIMULATION: SimulationBody = {
  results: [
    {
      strategy: 'cosine',
      hosts: 1,
      requests: 1,
      placed: 1,
      refused: 0,
      refusedByReason: {},
      refusedVolume: 0,
      firstRefusal: null,
      onePercent: null,
      peak: { cpu: 0.25 },
      mean: { cpu: 0.25 },
      fragmentation: 0,
      emptyHosts: 0,
      samples: [
        {
          atS: 0,
          load: 0.25,
          utilisation: { cpu: 0.25 },
          fragmentation: 0,
          emptyHosts: 0,
          placed: 1,
          refused: 0,
        },
      ],
    },
  ],
};

export const PLANNER_ROUTES: readonly Route[] = [
  route({
    method: 'post',
    path: '/v1/capacity',
    name: 'planCapacity',
    summary: 'How many more VMs fit, what runs out first, and whether any one host could be lost',
    tag: 'Placements',
    access: OPERATORS,
    body: capacityRequestSchema,
    answers: { 200: { description: 'The room for each flavor', schema: capacitySchema } },
    errors: PLAN_ERRORS,
    example: {
      body: { flavors: [{ name: 'small', resources: SMALL }], spare: true },
      status: 200,
      answer: EXAMPLE_CAPACITY,
    },
    handle: planCapacity,
  }),
  route({
    method: 'post',
    path: '/v1/rebalance',
    name: 'adviseMoves',
    summary: 'The few moves of VMs that would gain most; nothing is moved',
    tag: 'Placements',
    access: OPERATORS,
    body: rebalanceRequestSchema,
    answers: { 200: { description: 'The advice', schema: rebalanceSchema } },
    errors: PLAN_ERRORS,
    example: { body: { goal: 'spread' }, status: 200, answer: EXAMPLE_ADVICE },
    handle: adviseMoves,
  }),
  route({
    method: 'post',
    path: '/v1/simulations',
    name: 'simulateLoad',
    summary: 'What a load would do to the fleet, or to one that is given; nothing is booked',
    tag: 'Placements',
    access: OPERATORS,
    bodyBytesMax: SIMULATION_BYTES_MAX,
    body: simulationRequestSchema,
    answers: { 200: { description: 'What became of it', schema: simulationSchema } },
    errors: PLAN_ERRORS,
    example: {
      body: {
        hosts: [{ name: 'host-1', resources: { cpu: 8 } }],
        requests: [{ arrivalS: 0, resources: { cpu: 2 } }],
      },
      status: 200,
      answer: EXAMPLE_SIMULATION,
    },
    handle: simulateLoad,
  }),
];
