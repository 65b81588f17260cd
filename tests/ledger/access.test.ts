/** How the ledger gets in: TLS with an authority of one's own, users of the access control list. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { redisTargetOf } from '../../src/bin/redis-target.js';
import { settingsSchema } from '../../src/bin/config-schema.js';
import { createLedger, type LedgerOptions } from '../../src/ledger/ledger.js';
import type { RedisTarget } from '../../src/ledger/redis-target.js';
import { systemClock } from '../../src/std/clock.js';
import { makeCertificates, type Certificates } from '../support/certificates.js';
import { freePort } from '../support/free-port.js';
import { silentLog } from '../support/log.js';
import { startRedis, type RedisServer } from '../support/redis.js';
import {
  book,
  bookedBy,
  bookingOf,
  hostWith,
  rebuilt,
  snapshotOf,
  type TestLedger,
} from './builders.js';

const opened: TestLedger[] = [];

/** For starts that are refused. */
const IMPATIENT = { readyLimitMs: 1_500 };

async function open(url: RedisTarget, more: Partial<LedgerOptions> = {}): Promise<TestLedger> {
  const options = { cell: 'test', url, log: silentLog, clock: systemClock, ...more };
  const ledger = await createLedger(options);
  opened.push(ledger);
  return ledger;
}

afterEach(() => Promise.all(opened.splice(0).map((ledger) => ledger.close())));

/** Everything that a ledger does once. */
async function expectToWork(ledger: TestLedger): Promise<void> {
  const { epoch } = await ledger.state();
  await rebuilt(ledger, epoch + 1, 0, snapshotOf([hostWith('a', { cpu: 4 })]));
  expect(await book(ledger, bookingOf('vm', 'a', { cpu: 3 }))).toEqual(['booked']);
  await ledger.release([bookingOf('vm', 'a', { cpu: 3 })]);
  expect(await ledger.overdueBookings(0, 1)).toEqual([]);
  expect(await bookedBy(ledger)).toEqual({ a: {} });
}

describe('TLS', () => {
  let redis: RedisServer;
  let files: Certificates;
  let url: string;
  let target: RedisTarget;
  beforeAll(async () => {
    files = await makeCertificates();
    const port = await freePort();
    url = `rediss://127.0.0.1:${port}`;
    redis = await startRedis({
      args: [
        ...['--tls-port', port.toString(), '--tls-auth-clients', 'no'],
        ...['--tls-cert-file', files.certFile, '--tls-key-file', files.keyFile],
        ...['--tls-ca-cert-file', files.caFile],
      ],
    });
    target = { url, tls: { ca: files.ca } };
  }, 60_000);
  afterAll(async () => {
    await redis.stop();
    await files.remove();
  });

  it('works with the authority that signed the certificate', async () => {
    await expectToWork(await open(target));
  });

  it('works as it is configured', async () => {
    const { redis: settings } = settingsSchema.parse({ redis: { url, caFile: files.caFile } });
    const configured = redisTargetOf(settings);
    expect(configured).toEqual(target);
    await expectToWork(await open(configured ?? ''));
  });

  it('believes no certificate of a stranger', async () => {
    await expect(open(url, IMPATIENT)).rejects.toMatchObject({
      code: 'ledger_unavailable',
      internal: expect.stringMatching(/certificate/) as unknown,
    });
  }, 30_000);
});

describe('a user of the access control list', () => {
  /** What docs/operating.md asks for. */
  const RIGHTS = ['~berth:{test}:*', '+@all', '-@admin', '-@dangerous', '+info', '-@pubsub'];
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
    const admin = redis.client();
    await admin.call('ACL', 'SETUSER', 'berth', 'on', '>s3cret', ...RIGHTS);
    await admin.call('ACL', 'SETUSER', 'default', 'resetpass', '>another');
  });
  afterAll(() => redis.stop());

  it('does with its rights all that there is to do, named in the URL or beside it', async () => {
    const at = redis.url.replace('redis://', '');
    await expectToWork(await open(`redis://berth:s3cret@${at}`));
    await expectToWork(await open({ url: redis.url, username: 'berth', password: 's3cret' }));
  });

  it('is refused with a wrong password, and told why', async () => {
    const wrong = { url: redis.url, username: 'berth', password: 'wrong' };
    await expect(open(wrong, IMPATIENT)).rejects.toMatchObject({
      code: 'ledger_unavailable',
      internal: expect.stringMatching(/WRONGPASS|NOAUTH/) as unknown,
    });
  }, 30_000);
});
