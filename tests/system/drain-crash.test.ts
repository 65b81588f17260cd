/** kill -9 of the control plane at each named point of a move, then a restart: the move goes on. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CHECKPOINTS } from '../../src/model/ports.js';
import type { DrainBody } from '../../src/wire/drains.js';
import type { VmBody } from '../../src/wire/vms.js';
import { disagreements, readBooks } from '../support/books.js';
import { call, Cluster, until } from '../support/cluster.js';
import { Sightings } from '../support/sightings.js';

const VM = { id: 'mover', resources: { cpu: 1, memory: 100, disk: 100 } };
const TOTALS = { cpu: 8, memory: 10_000, disk: 10_000 };
const LONG_MS = 90_000;

const POINTS = CHECKPOINTS.filter((point) => point.startsWith('move:'));

describe('the control plane is killed', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await Cluster.start();
  });
  afterEach(() => cluster.stop());

  it.each(POINTS)(
    'at %s: the VM ends on its new host, and nothing is leaked',
    async (checkpoint) => {
      const first = await cluster.replica();
      await cluster.host(first.url, 'oak', TOTALS);
      await call(first.url, 'POST', '/v1/vms?wait=running', VM);
      await cluster.host(first.url, 'elm', TOTALS);
      await first.program.end();
      const watch = new Sightings(cluster.hosts);

      const doomed = await cluster.replica({ CRASH_AT_CHECKPOINT: checkpoint }, first.port);
      // It may die before it has answered.
      await call(doomed.url, 'POST', '/v1/hosts/oak/drain', {}).catch(() => undefined);
      await until('the kill', () => Promise.resolve(!doomed.program.running), LONG_MS);
      expect(await doomed.program.end()).toBe('SIGKILL');

      const again = await cluster.replica({}, first.port);
      await until(
        'the end of the drain',
        async () =>
          (await call<DrainBody>(again.url, 'GET', '/v1/hosts/oak/drain')).body.state === 'done',
        LONG_MS,
      );
      await until(
        'the VM running on its new host',
        async () => {
          const { body } = await call<VmBody>(again.url, 'GET', `/v1/vms/${VM.id}`);
          return body.state === 'running' && body.host?.name === 'elm';
        },
        LONG_MS,
      );
      expect(await watch.end()).toEqual([]);
      await until(
        'books that agree',
        async () => disagreements(await readBooks(cluster)).length === 0,
        LONG_MS,
      );
    },
    300_000,
  );
});
