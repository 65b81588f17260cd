/** The conversation about what is wrong in the books: `/v1/ops/verify`. */
import { z } from 'zod';
import { FINDING_CODES, SUBJECT_KINDS } from '../model/verify.js';

export const repairRequestSchema = z
  .strictObject({
    /** A dry run is what one gets without asking. */
    dryRun: z.boolean().default(true),
  })
  .meta({ id: 'RepairRequest', example: { dryRun: true } });

/** Amounts by class, or named facts. */
const factsSchema = z.record(z.string(), z.union([z.number(), z.string()]));

export const findingSchema = z
  .strictObject({
    code: z.enum(FINDING_CODES),
    subject: z.strictObject({
      kind: z.enum(SUBJECT_KINDS),
      id: z.string(),
      name: z.string().optional(),
    }),
    detail: z.string(),
    expected: factsSchema.optional(),
    found: factsSchema.optional(),
    /** Whether a repair would mend it. */
    repairable: z.boolean(),
    /** Whether this repair has mended it; absent where none was tried. */
    repaired: z.boolean().optional(),
  })
  .meta({ id: 'Finding' });
export type FindingBody = z.infer<typeof findingSchema>;

export const verifySchema = z
  .strictObject({
    dryRun: z.boolean(),
    durationMs: z.int(),
    hosts: z.int(),
    bookings: z.int(),
    /** Hosts whose ledger could not be judged: they changed all the time, or it is being rebuilt. */
    unchecked: z.int(),
    findings: z.array(findingSchema),
  })
  .meta({ id: 'Verification' });
export type VerifyBody = z.infer<typeof verifySchema>;
