/** Named leases. */
import { describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { fresh } from './builders.js';
import type { Subject } from './catalogue-contract.js';

const LONG_MS = 600_000;

export function describeLeases(subject: Subject): void {
  describe('leases', () => {
    it('have one holder, who may extend them', async () => {
      const name = fresh('lease');
      expect(await subject().acquireLease(name, 'a', LONG_MS)).toBe(true);
      expect(await subject().acquireLease(name, 'b', LONG_MS)).toBe(false);
      expect(await subject().acquireLease(name, 'a', LONG_MS)).toBe(true);
    });

    it('go to one of many who ask at once', async () => {
      const name = fresh('lease');
      const answers = await Promise.all(
        ['a', 'b', 'c', 'd'].map((holder) => subject().acquireLease(name, holder, LONG_MS)),
      );
      expect(answers.filter(Boolean)).toHaveLength(1);
    });

    it('are free when given back, by their holder only', async () => {
      const name = fresh('lease');
      await subject().acquireLease(name, 'a', LONG_MS);
      await subject().releaseLease(name, 'b');
      expect(await subject().acquireLease(name, 'b', LONG_MS)).toBe(false);
      await subject().releaseLease(name, 'a');
      expect(await subject().acquireLease(name, 'b', LONG_MS)).toBe(true);
    });

    it('are free when their time is over', async () => {
      const name = fresh('lease');
      await subject().acquireLease(name, 'a', 1);
      await sleep(20);
      expect(await subject().acquireLease(name, 'b', LONG_MS)).toBe(true);
      expect(await subject().acquireLease(name, 'a', LONG_MS)).toBe(false);
    });
  });
}
