/** Who gets the placement lock when several want it, and whose wish is forgotten. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { cellKeys } from '../../src/ledger/keys.js';
import { PlacementLock } from '../../src/ledger/lock.js';
import { systemClock } from '../../src/std/clock.js';
import { startRedis, type RedisServer } from '../support/redis.js';

const keys = cellKeys('test');
const LEASE_MS = 10_000;

describe('the placement lock', () => {
  let redis: RedisServer;
  let reader: Redis;
  beforeAll(async () => {
    redis = await startRedis();
    reader = redis.client();
  });
  beforeEach(() => redis.flushAll());
  afterAll(async () => {
    reader.disconnect();
    await redis.stop();
  });

  const lockOf = (waiter: string): PlacementLock =>
    new PlacementLock(redis.client(), redis.client(), {
      key: keys.lock,
      waitersKey: keys.lockWaiters,
      freedKey: keys.lockFreed,
      waiter,
      leaseMs: LEASE_MS,
      clock: systemClock,
    });
  const waiters = () => reader.hkeys(keys.lockWaiters);
  const untilWaiting = async (waiter: string) => {
    while (!(await waiters()).includes(waiter)) await systemClock.sleep(5);
  };

  it('goes to who waits before who gives it back and wants it again', async () => {
    const first = lockOf('first');
    const second = lockOf('second');
    const order: string[] = [];
    const lease = await first.acquire();
    const waiting = second.acquire().then((theirs) => {
      order.push('second');
      return theirs;
    });
    await untilWaiting('second');
    await lease.release(true);
    const again = first.acquire().then((ours) => {
      order.push('first');
      return ours;
    });
    await (await waiting).release(true);
    await (await again).release(false);
    expect(order).toEqual(['second', 'first']);
  });

  it('is told to be free in the step that gives it back, by whoever has it', async () => {
    const lease = await lockOf('first').acquire();
    expect(await reader.exists(keys.lock, keys.lockFreed)).toBe(1);
    await lease.release(false);
    expect(await reader.lrange(keys.lockFreed, 0, -1)).toHaveLength(1);
    expect(await reader.exists(keys.lock)).toBe(0);
    // What is somebody else's by now is neither given back nor told of.
    await reader.del(keys.lockFreed);
    const lost = await lockOf('second').acquire();
    await reader.set(keys.lock, 'a third one');
    await expect(lost.release(false)).rejects.toThrow();
    expect(await reader.get(keys.lock)).toBe('a third one');
    expect(await reader.exists(keys.lockFreed)).toBe(0);
  });

  it('forgets the wish of one that died, however often another one gives way to it', async () => {
    const lock = lockOf('alive');
    await reader.hset(keys.lockWaiters, 'dead', '');
    await reader.pexpire(keys.lockWaiters, 60_000);
    let turns = 0;
    do {
      const lease = await lock.acquire();
      turns += 1;
      await lease.release((await waiters()).includes('dead'));
    } while ((await waiters()).includes('dead') && turns < 20);
    expect(await waiters()).not.toContain('dead');
  });

  it('remembers the wish of one that lives', async () => {
    const lock = lockOf('busy');
    const other = lockOf('other');
    const lease = await lock.acquire();
    const theirs = other.acquire();
    await untilWaiting('other');
    expect(await waiters()).toContain('other');
    await lease.release(true);
    await (await theirs).release(false);
  });
});
