/** What rebuilds leave behind: replaced ledgers, and notes of bookings that have ended. */
import type { Ports } from './ports.js';
import { STAGING_IDLE_MS, STAGING_MAX_MS } from './staging.js';
import type { Chore } from './upkeep-loop.js';

const CLEAR_EVERY_MS = 5_000;

/** Twice as long as a rebuild may ask for them: clocks of replica and catalogue need not run alike. */
const KEEP_MS = STAGING_MAX_MS * 2;
const PURGE_EVERY_MS = 60_000;

export const rebuildChores = ({
  catalogue,
  ledger,
}: Pick<Ports, 'catalogue' | 'ledger'>): readonly Chore[] => [
  {
    name: 'clear away replaced ledgers',
    everyMs: CLEAR_EVERY_MS,
    run: () => ledger.clearAway(STAGING_IDLE_MS),
  },
  {
    name: 'forget bookings that have ended',
    everyMs: PURGE_EVERY_MS,
    run: async () => {
      await catalogue.purgeEnded(KEEP_MS);
    },
  },
];
