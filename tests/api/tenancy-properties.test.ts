/** Whatever the paths are, a tenant is shown what is its own. */
import { it } from '@jest/globals';
import { checkAsync } from '../support/properties.js';
import { tenantsSeeTheirOwn } from './tenancy-properties.js';

const RUNS = 2_000;

it('a tenant sees what lies at or below its path, all of it and nothing else', async () => {
  await checkAsync(tenantsSeeTheirOwn(), RUNS);
});
