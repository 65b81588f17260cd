/** The conversation about hosts: `/v1/hosts`, and how an agent joins. */
import { z } from 'zod';
import { HOST_STATES } from '../model/host-liveness.js';
import { INVENTORY_SOURCES } from '../model/inventory.js';
import {
  amountSchema,
  CLASSES_MAX,
  idSchema,
  labelsSchema,
  nameSchema,
  orRequired,
  pageOf,
  resourceClassSchema,
  timestampSchema,
  zoneSchema,
} from './fields.js';

/** How the token of a host begins, for people and scanners that meet one. */
export const HOST_TOKEN_KIND = 'berth_host_';
export const HOST_TOKEN_PATTERN = /^berth_host_[A-Za-z0-9_-]{43}$/;

const OVERCOMMIT_MAX = 100;

/** What an agent has measured (or was told), before reserve and overcommit. */
export const totalsSchema = z
  .record(
    resourceClassSchema,
    z
      .strictObject({
        total: amountSchema,
        source: z.enum(INVENTORY_SOURCES),
        overcommit: z
          .number()
          .gt(0)
          .max(OVERCOMMIT_MAX)
          .optional()
          .meta({ description: "The host's own factor, before that of the configuration" }),
        max: amountSchema.optional().meta({ description: 'Not more than this may be booked' }),
      })
      .refine(
        ({ total, source }) => source !== 'unknown' || total === 0,
        'must have the total 0 when the source is unknown',
      ),
  )
  .refine(
    (totals) => Object.keys(totals).length <= CLASSES_MAX,
    `must name at most ${CLASSES_MAX.toString()} classes`,
  )
  .meta({ example: { cpu: { total: 8, source: 'detected' } } });

/** No path, query, user or password, and nothing that URLs drop: the client appends its own paths. */
const isBaseUrl = (address: string): boolean =>
  /^https?:\/\/[\w.:[\]-]+$/i.test(address) && URL.canParse(address);

/** What an agent calls its release. */
export const agentVersionSchema = z
  .string()
  .max(64)
  .regex(/^[^\p{C}]*$/u, 'must hold no control characters');

const SENTENCES_MAX = 32;
const SENTENCE_LENGTH_MAX = 500;

/** Limits that a host cannot hold its VMs to, each a sentence for people. */
export const notEnforcedSchema = z
  .array(
    z
      .string()
      .max(SENTENCE_LENGTH_MAX)
      .regex(/^[^\p{C}]*$/u, 'must hold no control characters'),
  )
  .max(SENTENCES_MAX);

/** The same in a form that a status may hold: the reasons in them come from other programs. */
export const tellable = (sentences: readonly string[]): string[] =>
  sentences
    .slice(0, SENTENCES_MAX)
    .map((sentence) => sentence.slice(0, SENTENCE_LENGTH_MAX).replaceAll(/\p{C}/gu, ' '));

export const joinHostSchema = z
  .strictObject({
    id: idSchema,
    name: nameSchema,
    address: z
      .url({ protocol: /^https?$/, error: orRequired('must be an http or https URL') })
      .max(255)
      .refine(isBaseUrl, 'must be a bare http or https address, such as "http://10.0.0.7:8081"')
      .meta({ example: 'http://127.0.0.1:8081' }),
    /** Secret that the control plane shows this agent; made by the agent. */
    credential: z
      .string()
      .regex(/^[A-Za-z0-9_-]{32,128}$/, 'must be 32 to 128 letters, digits, "_" or "-"'),
    /** Secret that the agent shows from now on when it speaks; made by the agent. */
    token: z
      .string()
      .regex(HOST_TOKEN_PATTERN, 'must be "berth_host_" and 43 letters, digits, "_" or "-"')
      .optional()
      .meta({ description: 'With it the agent joins again and pushes its status' }),
    zone: zoneSchema.optional(),
    labels: labelsSchema.optional(),
    totals: totalsSchema,
    agent: z.strictObject({ version: agentVersionSchema, bootId: idSchema }),
  })
  .meta({ id: 'JoinHost' });
export type JoinHostBody = z.infer<typeof joinHostSchema>;

const sentence = (charactersMax: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(charactersMax)
    .regex(/^[^\p{C}]*$/u, 'must hold no control characters');

/** Why a host has the mode that it has. */
export const modeReasonSchema = sentence(200);
/** Whom to ask about it. */
export const modeOwnerSchema = sentence(100);

/** Longest cordon with an end: beyond it, nobody remembers. */
const EXPIRY_S_MAX = 365 * 24 * 60 * 60;

const perClass = <Value extends z.ZodType<number>>(value: Value) =>
  z
    .record(resourceClassSchema, value)
    .refine(
      (values) => Object.keys(values).length <= CLASSES_MAX,
      `must name at most ${CLASSES_MAX.toString()} classes`,
    )
    .nullable()
    .optional();

const factorSchema = z
  .number('must be a number')
  .gt(0, 'must be greater than 0')
  .max(OVERCOMMIT_MAX, `must be at most ${OVERCOMMIT_MAX.toString()}`);
const shareSchema = z
  .number('must be a number')
  .min(0, 'must not be negative')
  .lt(1, 'must be less than 1');

export const patchHostSchema = z
  .strictObject({
    mode: z.enum(['enabled', 'cordoned']).optional(),
    reason: modeReasonSchema.optional(),
    owner: modeOwnerSchema.optional(),
    /** After so many seconds the cordon ends by itself. */
    expiresInS: z.int().min(1).max(EXPIRY_S_MAX).optional(),
    zone: zoneSchema.nullable().optional(),
    labels: labelsSchema.nullable().optional(),
    overcommit: perClass(factorSchema),
    reserve: perClass(shareSchema),
    totals: perClass(amountSchema),
  })
  .superRefine((patch, context) => {
    const refuse = (path: string[], message: string) => {
      context.addIssue({ code: 'custom', path, message });
    };
    if (Object.values(patch).every((value) => value === undefined)) {
      refuse([], 'must say at least one thing that is to change');
    }
    for (const field of ['reason', 'owner'] as const) {
      if (patch[field] !== undefined && patch.mode === undefined) {
        refuse([field], 'goes only with a mode');
      }
    }
    if (patch.expiresInS !== undefined && patch.mode !== 'cordoned') {
      refuse(['expiresInS'], 'goes only with the mode cordoned');
    }
  })
  .meta({ id: 'PatchHost', example: { mode: 'cordoned', reason: 'new memory modules' } });
export type PatchHostBody = z.infer<typeof patchHostSchema>;

/** Whoever says that a host is off says why: others will ask what became of its VMs. */
export const fenceHostSchema = z
  .strictObject({ reason: modeReasonSchema })
  .meta({ id: 'FenceHost', example: { reason: 'its power supply burnt out' } });
export type FenceHostBody = z.infer<typeof fenceHostSchema>;

export const fenceSchema = z.strictObject({
  at: timestampSchema,
  reason: z.string(),
  by: z.string(),
});

export const hostSchema = z
  .strictObject({
    id: idSchema,
    name: nameSchema,
    address: z.string(),
    zone: zoneSchema,
    labels: labelsSchema,
    state: z.enum(HOST_STATES),
    mode: z.enum(['enabled', 'cordoned', 'draining', 'retired']),
    modeReason: z.string().nullable(),
    /** Whom to ask about the mode. */
    modeOwner: z.string().nullable(),
    /** When the cordon ends by itself. */
    modeUntil: timestampSchema.nullable(),
    fence: fenceSchema.nullable().meta({
      description:
        'An operator said that it is off; until it is back and was told what it lost, it is not up',
    }),
    /** What an operator said; what is absent is as the agent or the configuration says. */
    overrides: z.strictObject({
      zone: zoneSchema.optional(),
      labels: labelsSchema.optional(),
      overcommit: z.record(resourceClassSchema, z.number()).optional(),
      reserve: z.record(resourceClassSchema, z.number()).optional(),
      totals: z.record(resourceClassSchema, z.number()).optional(),
    }),
    /** More is booked than may be: it takes nothing new. */
    overFull: z.boolean(),
    resources: z.record(
      resourceClassSchema,
      z.strictObject({
        /** Null, as capacity, limit and available: nobody knows how much there is. */
        total: z.number().nullable(),
        reserved: z.number(),
        overcommit: z.number(),
        capacity: z.number().nullable(),
        limit: z.number().nullable(),
        allocated: z.number(),
        available: z.number().nullable(),
        /** Taken by VMs that run there without a record; `limit` is already less by it. */
        orphaned: z.number(),
        /** What the machine really uses; null where it is not known. */
        used: z.number().nullable(),
        source: z.enum(INVENTORY_SOURCES),
        unit: z.string(),
      }),
    ),
    vms: z.int(),
    lastSeenAt: timestampSchema.nullable(),
    agent: z.strictObject({ version: z.string(), bootId: z.string() }),
    notEnforced: notEnforcedSchema.meta({
      description: 'Limits to which this host cannot hold its VMs, as its agent found out',
    }),
    createdAt: timestampSchema,
  })
  .meta({ id: 'Host' });
export type HostBody = z.infer<typeof hostSchema>;

export const hostPageSchema = pageOf(hostSchema).meta({ id: 'HostPage' });
export type HostPageBody = z.infer<typeof hostPageSchema>;
