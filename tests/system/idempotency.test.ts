/** A replica is killed in the middle of a create with an Idempotency-Key; another gets the repeat. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { VmBody } from '../../src/wire/vms.js';
import { ADMIN_TOKEN, allVms, Cluster, until } from '../support/cluster.js';

const VM = { resources: { cpu: 1, memory: 100, disk: 100 } };
const TOTALS = { cpu: 4, memory: 10_000, disk: 10_000 };
/** Shortest that the configuration allows: what was booked and not recorded is free after it. */
const ENV = { LEDGER_BOOKING_LEASE_MS: '5001' };

describe('a create with an Idempotency-Key', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await Cluster.start();
  });
  afterEach(() => cluster.stop());

  /** Without an id: the key alone says that the two are one. */
  const create = (url: string) =>
    fetch(`${url}/v1/vms`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${ADMIN_TOKEN}`,
        'content-type': 'application/json',
        'idempotency-key': 'one-and-only',
      },
      body: JSON.stringify(VM),
      signal: AbortSignal.timeout(60_000),
    });

  it.each(['create:booked', 'create:recorded'])(
    'makes one VM although its replica is killed at %s',
    async (checkpoint) => {
      const other = await cluster.replica(ENV);
      await cluster.host(other.url, 'oak', TOTALS);
      const doomed = await cluster.replica({ ...ENV, CRASH_AT_CHECKPOINT: checkpoint });
      await expect(create(doomed.url)).rejects.toThrow();
      await until('the kill', () => Promise.resolve(!doomed.program.running));

      const vm = await until(
        'an answer',
        async () => {
          const answer = await create(other.url);
          // In progress until the lease of the dead one is over; its booking may last longer.
          if (answer.status !== 202) expect([409, 503]).toContain(answer.status);
          return answer.status === 202 && ((await answer.json()) as VmBody);
        },
        300_000,
      );
      const again = await create(other.url);
      expect(again.headers.get('idempotency-replayed')).toBe('true');
      expect(await again.json()).toEqual(vm);
      expect((await allVms(other.url)).map(({ id }) => id)).toEqual([vm.id]);
    },
    300_000,
  );
});
