/** A PostgreSQL that hangs: callers hear so soon, nothing piles up, and all goes on when it is back. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { familyOf } from '../chaos/child.js';
import { call, Cluster, until, type Replica } from '../support/cluster.js';
import { startPostgres, type TestPostgres } from '../support/postgres.js';

const SMALL = { resources: { cpu: 1, memory: 64, disk: 64 } };

/** Far more than there are connections. */
const CALLERS = 200;

let postgres: TestPostgres;
let cluster: Cluster;
let replica: Replica;
beforeAll(async () => {
  postgres = await startPostgres();
  cluster = await Cluster.start();
  const DATABASE_URL = await postgres.freshDatabase();
  replica = await cluster.replica({ DATABASE_URL, LOG_LEVEL: 'error' });
  await cluster.host(replica.url, 'host-1', { cpu: 1_000, memory: 64_000, disk: 64_000 });
}, 180_000);
afterAll(async () => {
  signal('SIGCONT');
  await cluster.stop();
  await postgres.stop();
});

let frozen: readonly number[] = [];
function signal(name: 'SIGSTOP' | 'SIGCONT'): void {
  if (name === 'SIGSTOP') frozen = familyOf(postgres.pid);
  for (const pid of frozen) process.kill(pid, name);
  if (name === 'SIGCONT') frozen = [];
}

const CALLS: readonly (readonly [string, string, unknown?])[] = [
  ['GET', '/v1/vms'],
  ['GET', '/v1/hosts'],
  ['POST', '/v1/vms', SMALL],
  ['DELETE', '/v1/vms/none'],
  ['POST', '/v1/reservations', { ...SMALL, path: 'acme', expiresInS: 60 }],
  ['GET', '/v1/usage'],
];

const create = () => call(replica.url, 'POST', '/v1/vms?wait=running&timeout=30', SMALL);

it('is told with 503 and Retry-After, and is forgotten when it answers again', async () => {
  expect((await create()).status).toBe(202);
  signal('SIGSTOP');
  for (let round = 0; round < 2; round += 1) {
    const answers = await Promise.all(
      Array.from({ length: CALLERS }, async (_none, index) => {
        const [method, path, body] = CALLS[index % CALLS.length] ?? ['GET', '/v1/vms'];
        const { status, headers } = await call(replica.url, method, path, body);
        return { status, retry: headers.get('retry-after') };
      }),
    );
    for (const { retry, status } of answers) {
      expect(status).toBe(503);
      expect(Number(retry)).toBeGreaterThan(0);
    }
  }
  expect((await fetch(`${replica.url}/healthz`)).ok).toBe(true);
  signal('SIGCONT');
  await until('creates to go on', async () => (await create()).status === 202);
}, 180_000);
