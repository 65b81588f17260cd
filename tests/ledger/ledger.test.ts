import { afterAll, beforeAll } from '@jest/globals';
import { createLedger } from '../../src/ledger/ledger.js';
import { systemClock } from '../../src/std/clock.js';
import { silentLog } from '../support/log.js';
import { startRedis, type RedisServer } from '../support/redis.js';
import type { TestLedger } from './builders.js';
import { describeLedgerContract } from './ledger-contract.js';

let redis: RedisServer;
const opened: TestLedger[] = [];
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
describeLedgerContract('redis', () => ({
  open: async () => {
    const l = await createLedger({
      cell: 'test',
      url: redis.url,
      log: silentLog,
      clock: systemClock,
    });
    opened.push(l);
    return l;
  },
  reset: async () => {
    await Promise.all(opened.splice(0).map((l) => l.close()));
    await redis.flushAll();
  },
}));
