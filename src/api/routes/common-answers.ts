/** What routes of more than one noun use. */
import { z } from 'zod';

/** Nothing is to be said; what is said all the same is refused, so that nobody relies on it. */
export const nothingSchema = z.strictObject({}).meta({ id: 'Nothing', example: {} });

export const CATALOGUE_ERRORS = ['catalogue_unavailable'] as const;
export const LEDGER_ERRORS = [
  'ledger_rebuilding',
  'ledger_unavailable',
  'catalogue_unavailable',
] as const;
