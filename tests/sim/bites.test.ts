/**
 * Does it bite? Each seeded bug must be found, by the rule or the property that it breaks. The seeds
 * say where to begin, so that this takes seconds; `npm run bite` looks for all of them.
 */
import { describe, expect, it } from '@jest/globals';
import { hunt } from './bugs/hunt.js';
import { SEEDED_BUGS } from './bugs/seeded-bugs.js';

const LIMITS = { seconds: 60, seed: null };

describe('it is found that', () => {
  it.each(SEEDED_BUGS.map((bug) => [bug.what, bug] as const))(
    '%s',
    async (_what, bug) => {
      const found = await hunt(bug, LIMITS);
      expect('rules' in bug ? bug.rules : [bug.property]).toContain(found?.rule);
    },
    120_000,
  );
});
