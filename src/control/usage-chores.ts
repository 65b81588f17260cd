/** Keeps the history of how the fleet is used. */
import type { Ports } from './ports.js';
import type { Chore } from './upkeep-loop.js';

/** Well within the five minutes of a sample; the first look in each makes it. */
const SAMPLE_EVERY_MS = 15_000;
const ROLL_UP_EVERY_MS = 60_000;

export const usageChores = ({ catalogue, clock }: Ports): readonly Chore[] => [
  {
    name: 'samples of usage',
    everyMs: SAMPLE_EVERY_MS,
    async run() {
      await catalogue.sampleUsage(new Date(clock.now()));
    },
  },
  {
    name: 'roll-up of usage',
    everyMs: ROLL_UP_EVERY_MS,
    async run() {
      // After a long pause there is more than one call does.
      while (await catalogue.rollUpUsage(new Date(clock.now())));
    },
  },
];
