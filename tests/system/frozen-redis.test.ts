/** A Redis that hangs: callers hear so soon, nothing piles up, and all goes on when it is back. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { disagreements, readBooks } from '../support/books.js';
import { call, Cluster, until, type Replica } from '../support/cluster.js';

const SMALL = { resources: { cpu: 1, memory: 64, disk: 64 } };
const CALLERS = 100;
const ROUNDS = 3;

let cluster: Cluster;
let replica: Replica;
beforeAll(async () => {
  cluster = await Cluster.start();
  replica = await cluster.replica({ LOG_LEVEL: 'error' });
  await cluster.host(replica.url, 'host-1', { cpu: 1_000, memory: 64_000, disk: 64_000 });
}, 180_000);
afterAll(async () => {
  process.kill(cluster.redis.pid, 'SIGCONT');
  await cluster.stop();
});

/** What is not done without the ledger. */
const CALLS = [
  ['/v1/vms', SMALL],
  ['/v1/placements', SMALL],
  ['/v1/reservations', { ...SMALL, path: 'acme', expiresInS: 60 }],
] as const;

const create = () => call(replica.url, 'POST', '/v1/vms?wait=running&timeout=30', SMALL);

async function ask(index: number) {
  const [path, asked] = CALLS[index % CALLS.length] ?? CALLS[0];
  const { status, headers, body } = await call(replica.url, 'POST', path, asked);
  return { status, code: body.code, retryAfter: headers.get('retry-after') };
}

it('is told with 503 and Retry-After, and is forgotten when it answers again', async () => {
  expect((await create()).status).toBe(202);
  process.kill(cluster.redis.pid, 'SIGSTOP');
  for (let round = 0; round < ROUNDS; round += 1) {
    const heard = await Promise.all(Array.from({ length: CALLERS }, (_none, index) => ask(index)));
    for (const one of heard) {
      expect(one).toEqual({ status: 503, code: 'ledger_unavailable', retryAfter: '1' });
    }
  }
  // What needs no ledger is there all the time.
  expect((await call(replica.url, 'GET', '/v1/vms')).status).toBe(200);
  expect((await fetch(`${replica.url}/healthz`)).ok).toBe(true);
  process.kill(cluster.redis.pid, 'SIGCONT');
  await until('creates to go on', async () => (await create()).status === 202);
  await until('books that agree', async () => disagreements(await readBooks(cluster)).length === 0);
}, 180_000);
