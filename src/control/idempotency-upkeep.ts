/** Idempotency-Keys are kept for a day; then their names are free again. */
import type { Ports } from './ports.js';
import type { Chore } from './upkeep-loop.js';

const KEEP_MS = 24 * 60 * 60 * 1_000;
const PURGE_EVERY_MS = 10 * 60 * 1_000;

export const idempotencyChore = ({ catalogue, log }: Pick<Ports, 'catalogue' | 'log'>): Chore => ({
  name: 'forget old idempotency keys',
  everyMs: PURGE_EVERY_MS,
  async run() {
    const forgotten = await catalogue.purgeRequests(KEEP_MS);
    if (forgotten > 0) log.info('old idempotency keys forgotten', { forgotten });
  },
});
