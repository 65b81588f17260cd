/** How failures are told: `application/problem+json`, RFC 9457. */
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../model/errors.js';

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

export const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]),
    detail: z.string(),
    requestId: z.string().optional(),
    errors: z.array(z.strictObject({ field: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem' });
export type ProblemBody = z.infer<typeof problemSchema>;

/** Where a code is explained, relative to this server. */
export const problemType = (code: ErrorCode): string => `/docs/errors#${code}`;
