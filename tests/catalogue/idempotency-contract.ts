/** What is remembered of requests with an Idempotency-Key. */
import { describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { fresh } from './builders.js';
import type { Subject } from './catalogue-contract.js';

const LONG_MS = 600_000;
const ANSWER = { status: 202, text: '{"id":"vm-1","note":"\\u0000 and é"}' };

export function describeIdempotency(subject: Subject): void {
  const someName = () => ({ scope: 'token:a', key: fresh('key') });
  type Name = ReturnType<typeof someName>;
  const begin = (name: Name, lease: string, hash = 'hash', leaseMs = LONG_MS) =>
    subject().beginRequest(name, hash, lease, leaseMs);

  describe('idempotency keys', () => {
    it('have one try at a time, whoever asks at once', async () => {
      const name = someName();
      const tries = await Promise.all(['a', 'b', 'c', 'd'].map((lease) => begin(name, lease)));
      expect(tries.map(({ kind }) => kind).sort()).toEqual([
        'begun',
        'in_progress',
        'in_progress',
        'in_progress',
      ]);
    });

    it('keep the answer, byte by byte, for the same request', async () => {
      const name = someName();
      await begin(name, 'a');
      await subject().keepAnswer(name, 'a', ANSWER);
      expect(await begin(name, 'b')).toEqual({ kind: 'answered', answer: ANSWER });
      expect(await begin(name, 'b', 'another')).toEqual({ kind: 'reused' });
      await subject().reopenRequest(name, 'a');
      expect(await begin(name, 'b')).toEqual({ kind: 'answered', answer: ANSWER });
    });

    it('belong to another request from the first moment', async () => {
      const name = someName();
      await begin(name, 'a');
      expect(await begin(name, 'b', 'another')).toEqual({ kind: 'reused' });
    });

    it('of two callers do not meet', async () => {
      const name = someName();
      await begin(name, 'a');
      await subject().keepAnswer(name, 'a', ANSWER);
      const begun = await begin({ ...name, scope: 'token:b' }, 'b', 'another');
      expect(begun.kind).toBe('begun');
    });

    it('are taken over with the same seed when a try has died', async () => {
      const name = someName();
      const first = await begin(name, 'dead', 'hash', 1);
      await sleep(20);
      const second = await begin(name, 'alive');
      expect(second).toEqual(first);
      expect(first.kind).toBe('begun');
      // The dead one was only slow: it has no say any more.
      await subject().keepAnswer(name, 'dead', ANSWER);
      await subject().forgetRequest(name, 'dead');
      await subject().reopenRequest(name, 'dead');
      expect(await begin(name, 'third')).toEqual({ kind: 'in_progress' });
      await subject().keepAnswer(name, 'alive', ANSWER);
      expect(await begin(name, 'third')).toEqual({ kind: 'answered', answer: ANSWER });
    });

    it('live as long as their holder says so', async () => {
      const name = someName();
      await begin(name, 'a', 'hash', 1);
      await subject().extendRequest(name, 'a', LONG_MS);
      await sleep(20);
      expect(await begin(name, 'b')).toEqual({ kind: 'in_progress' });
    });

    it('begin again with the same seed when reopened, with a new one when forgotten', async () => {
      const name = someName();
      const first = await begin(name, 'a');
      await subject().reopenRequest(name, 'a');
      expect(await begin(name, 'b')).toEqual(first);
      await subject().forgetRequest(name, 'b');
      const third = await begin(name, 'c', 'another');
      expect(third.kind).toBe('begun');
      expect(third).not.toEqual(first);
    });

    it('are forgotten after a while, but not in the middle of an answer', async () => {
      const [done, going] = [someName(), someName()];
      await begin(done, 'a');
      await subject().keepAnswer(done, 'a', ANSWER);
      await begin(going, 'a');
      await subject().purgeRequests(LONG_MS);
      expect((await begin(done, 'b')).kind).toBe('answered');
      await sleep(5);
      expect(await subject().purgeRequests(1)).toBeGreaterThan(0);
      expect((await begin(done, 'b', 'another')).kind).toBe('begun');
      expect(await begin(going, 'b')).toEqual({ kind: 'in_progress' });
    });
  });
}
