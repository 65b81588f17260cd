/** A slice of `npm run fuzz`: a real control plane and an agent's server under requests gone wrong. */
import { expect, it } from '@jest/globals';
import { fuzz } from './fuzz.js';

it('are answered as documented, and leave the books right', async () => {
  const report = await fuzz({ requests: 3_000, seed: '20261121' });
  expect(report.faults).toEqual([]);
  expect(report.findings).toEqual([]);
  expect(report.alive).toBe(true);
  // Or the fuzz would show little: some are accepted.
  expect(report.statuses['202'] ?? 0).toBeGreaterThan(10);
  expect(report.statuses['201'] ?? 0).toBeGreaterThan(10);
}, 180_000);
