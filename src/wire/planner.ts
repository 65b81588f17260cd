/** The conversation about plans: `/v1/capacity`, `/v1/rebalance`, `/v1/simulations`. */
import { z } from 'zod';
import { STRATEGY_NAMES } from '../model/strategies.js';
import {
  CLASSES_MAX,
  hostRefSchema,
  idSchema,
  nameSchema,
  positiveAmountSchema,
  resourceClassSchema,
  resourcesSchema,
  zoneSchema,
} from './fields.js';
import { constraintsSchema, strategySchema } from './vms.js';

/** What is asked in one call; more belongs into files and `berth simulate`. */
export const PLAN_LIMITS = {
  flavors: 32,
  moves: 200,
  hosts: 2_000,
  requests: 20_000,
  strategies: STRATEGY_NAMES.length,
} as const;

/** How `rebalance` may be meant; the same as in the planner, and a test compares them. */
export const REBALANCE_GOALS = ['spread', 'pack'] as const;

/** What a plan counts with: any classes, at least one, none of them 0. */
const askedSchema = z
  .record(resourceClassSchema, positiveAmountSchema)
  .refine((asked) => Object.keys(asked).length > 0, 'must name at least one class')
  .refine(
    (asked) => Object.keys(asked).length <= CLASSES_MAX,
    `must name at most ${CLASSES_MAX.toString()} classes`,
  )
  .meta({ example: { cpu: 2, memory: 2048 } });

const share = z.number().min(0);
const sharesSchema = z.record(resourceClassSchema, share);
const count = z.int().min(0);

export const capacityRequestSchema = z
  .strictObject({
    flavors: z
      .array(z.strictObject({ name: nameSchema, resources: askedSchema }))
      .min(1)
      .max(PLAN_LIMITS.flavors)
      .meta({ description: 'In the order in which they are added for `tiered`' }),
    addHost: askedSchema
      .optional()
      .meta({ description: 'What may be booked on one more host, thought of as empty' }),
    spare: z
      .boolean()
      .default(false)
      .meta({ description: 'Also whether any one host could be lost (N+1), per zone' }),
  })
  .meta({ id: 'CapacityRequest' });
export type CapacityRequestBody = z.infer<typeof capacityRequestSchema>;

export const capacitySchema = z
  .strictObject({
    flavors: z.array(
      z.strictObject({
        name: nameSchema,
        resources: resourcesSchema,
        alone: count,
        tiered: count,
        zones: z.record(zoneSchema, count),
        pooled: count,
        bottleneck: z
          .strictObject({ resource: resourceClassSchema, hosts: count, of: count })
          .nullable(),
        added: z.strictObject({ alone: count, tiered: count }).nullable(),
      }),
    ),
    spare: z
      .array(
        z.strictObject({
          zone: zoneSchema,
          hosts: count,
          spared: count,
          unspared: z.array(
            z.strictObject({
              host: hostRefSchema,
              vms: count,
              stranded: count,
              reason: z.string(),
            }),
          ),
        }),
      )
      .nullable(),
  })
  .meta({ id: 'Capacity' });
export type CapacityBody = z.infer<typeof capacitySchema>;

export const rebalanceRequestSchema = z
  .strictObject({
    goal: z.enum(REBALANCE_GOALS).default('spread'),
    gainMin: z.number().min(0.001).max(10).default(0.01),
    movesMax: z.int().min(1).max(PLAN_LIMITS.moves).default(20),
  })
  .meta({ id: 'RebalanceRequest' });
export type RebalanceRequestBody = z.infer<typeof rebalanceRequestSchema>;

const balanceSchema = z.strictObject({
  unevenness: share,
  emptyHosts: count,
  fullest: z.strictObject({ host: hostRefSchema, share }).nullable(),
});

export const rebalanceSchema = z
  .strictObject({
    goal: z.enum(REBALANCE_GOALS),
    moves: z.array(
      z.strictObject({
        vm: z.strictObject({ id: idSchema, name: z.string() }),
        from: hostRefSchema,
        to: hostRefSchema,
        gain: z.number(),
        cost: z.strictObject({ memoryMib: count, diskMib: count }),
      }),
    ),
    isSettled: z.boolean(),
    before: balanceSchema,
    after: balanceSchema,
  })
  .meta({ id: 'Rebalance' });
export type RebalanceBody = z.infer<typeof rebalanceSchema>;

/** A time in a plan, in seconds from its beginning: up to about 30 years. */
const secondsSchema = z.number().min(0).max(1e9);

export const simulationRequestSchema = z
  .strictObject({
    hosts: z
      .array(
        z.strictObject({
          name: nameSchema,
          zone: zoneSchema.default('default'),
          resources: askedSchema,
        }),
      )
      .min(1)
      .max(PLAN_LIMITS.hosts)
      .optional()
      .meta({ description: 'Empty hosts with what may be booked; absent: the fleet as it is now' }),
    requests: z
      .array(
        z.strictObject({
          arrivalS: secondsSchema,
          lifetimeS: secondsSchema.gt(0).nullable().default(null),
          resources: askedSchema,
          constraints: constraintsSchema.optional(),
          count: z.int().min(1).max(PLAN_LIMITS.requests).default(1),
        }),
      )
      .min(1)
      .max(PLAN_LIMITS.requests)
      .meta({ description: 'In any order; `count` of them at the same moment' }),
    strategies: z.array(strategySchema).min(1).max(PLAN_LIMITS.strategies).default(['cosine']),
  })
  .meta({ id: 'SimulationRequest' });
export type SimulationRequestBody = z.infer<typeof simulationRequestSchema>;

const metSchema = z.strictObject({ request: count, load: share }).nullable();

export const simulationSchema = z
  .strictObject({
    results: z
      .array(
        z.strictObject({
          strategy: strategySchema,
          hosts: count,
          requests: count,
          placed: count,
          refused: count,
          refusedByReason: z.record(z.string(), count),
          refusedVolume: share,
          firstRefusal: metSchema,
          onePercent: metSchema,
          peak: sharesSchema,
          mean: sharesSchema,
          fragmentation: share,
          emptyHosts: share,
          samples: z.array(
            z.strictObject({
              atS: share,
              load: share,
              utilisation: sharesSchema,
              fragmentation: share,
              emptyHosts: count,
              placed: count,
              refused: count,
            }),
          ),
        }),
      )
      .meta({ description: 'The best first' }),
  })
  .meta({ id: 'Simulation' });
export type SimulationBody = z.infer<typeof simulationSchema>;
