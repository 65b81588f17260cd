/** kill -9 of the control plane at each named point of a create or delete, then a restart. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CHECKPOINTS, type Checkpoint } from '../../src/model/ports.js';
import type { VmBody } from '../../src/wire/vms.js';
import { disagreements, readBooks } from '../support/books.js';
import { call, Cluster, until } from '../support/cluster.js';

const ID = 'crash-test';
const VM = { id: ID, name: ID, resources: { cpu: 1, memory: 100, disk: 100 } };
/** Those of moves are in drain-crash.test.ts. */
type PointOfCreateOrDelete = Exclude<Checkpoint, `move:${string}`>;
const POINTS = CHECKPOINTS.filter(
  (point): point is PointOfCreateOrDelete => !point.startsWith('move:'),
);
const TOTALS = { cpu: 4, memory: 10_000, disk: 10_000 };

describe('the control plane is killed', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await Cluster.start();
  });
  afterEach(() => cluster.stop());

  it.each(POINTS)(
    'at %s: the VM comes to rest and nothing is leaked',
    async (checkpoint) => {
      const first = await cluster.replica();
      await cluster.host(first.url, 'oak', TOTALS);
      const isDelete = checkpoint.startsWith('delete');
      if (isDelete) await call(first.url, 'POST', '/v1/vms?wait=running', VM);
      await first.program.end();

      const doomed = await cluster.replica({ CRASH_AT_CHECKPOINT: checkpoint }, first.port);
      await (
        isDelete
          ? call(doomed.url, 'DELETE', `/v1/vms/${ID}`)
          : call(doomed.url, 'POST', '/v1/vms', VM)
      ).catch(() => undefined);
      await until('the kill', () => Promise.resolve(!doomed.program.running));
      expect(await doomed.program.end()).toBe('SIGKILL');

      const again = await cluster.replica({}, first.port);
      const state = await until(
        `an end after ${checkpoint}`,
        async () => {
          const { status, body } = await call<VmBody>(again.url, 'GET', `/v1/vms/${ID}`);
          if (status === 404) return 'gone';
          return ['running', 'failed'].includes(body.state) && !isDelete ? body.state : null;
        },
        300_000,
      );
      expect(state).toBe(EXPECTED[checkpoint]);
      await until(
        'books that agree',
        async () => disagreements(await readBooks(cluster)).length === 0,
        300_000,
      );
    },
    300_000,
  );
});

/** A create that nobody was told of may be forgotten whole; one that is recorded goes on. */
const EXPECTED: Readonly<Record<PointOfCreateOrDelete, 'running' | 'gone'>> = {
  'create:booked': 'gone',
  'create:recorded': 'running',
  'create:agent-answered': 'running',
  'delete:marked': 'gone',
  'delete:agent-answered': 'gone',
  'delete:released': 'gone',
};
