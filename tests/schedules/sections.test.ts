/** Critical sections under random orders of their steps; `npm run bite -- --schedules 20000` does more. */
import { describe, it } from '@jest/globals';
import { checkAsync } from '../support/properties.js';
import { SECTIONS } from './sections.js';

const SCHEDULES = 400;

describe('no order of steps breaks', () => {
  it.each(Object.entries(SECTIONS))('%s', async (_name, section) => {
    await checkAsync(section(), SCHEDULES);
  });
});
