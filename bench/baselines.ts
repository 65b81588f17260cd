/**
 * What creates are compared with. `echo`: Express takes the same body, checks it with the same
 * schema and sends it back, as most programs on Express do. `handed`: the same, but Express is handed
 * requests and responses as Berth hands them to it. `bare`: the same without Express. `plain`: the obvious scheduler: one lock, one HGETALL per host, one HSET, one INSERT, for
 * each VM. Usage: baselines echo|handed|bare|plain PORT REDIS_URL DATABASE_URL HOSTS
 */
import { createServer } from 'node:http';
import express from 'express';
import { Redis } from 'ioredis';
import pg from 'pg';
import Redlock from 'redlock';
import { messagesOf } from '../src/api/messages.js';
import { createVmSchema } from '../src/wire/vms.js';
import { hostIdOf, TOTALS } from './null-agents.js';

const [kind, port, redisUrl = '', databaseUrl = '', hosts = '0'] = process.argv.slice(2);
const CLASSES = ['cpu', 'memory', 'disk'] as const;
const CAPACITY = {
  cpu: TOTALS.cpu.total * 4,
  memory: TOTALS.memory.total,
  disk: TOTALS.disk.total,
};
const LOCK_MS = 5_000;

type Handler = (body: ReturnType<typeof createVmSchema.parse>) => Promise<unknown>;

function cosine(left: readonly number[], right: readonly number[]): number {
  const dot = left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0);
  const length = (vector: readonly number[]) => Math.hypot(...vector);
  return dot / (length(left) * length(right));
}

async function plain(): Promise<Handler> {
  const redis = new Redis(redisUrl);
  const redlock = new Redlock([redis], { retryCount: 10_000, retryDelay: 5, retryJitter: 5 });
  redlock.on('error', () => undefined);
  const pool = new pg.Pool({ connectionString: databaseUrl });
  await pool.query('create table plain_vms (id uuid primary key, host text, resources jsonb)');
  const ids = Array.from({ length: Number(hosts) }, (_unused, index) => hostIdOf(index));

  return async ({ resources }) => {
    const lock = await redlock.acquire(['plain:lock'], LOCK_MS);
    try {
      let best = '';
      let bestScore = -1;
      for (const id of ids) {
        const used = await redis.hgetall(`plain:${id}`);
        const free = CLASSES.map((name) => CAPACITY[name] - Number(used[name] ?? 0));
        if (CLASSES.some((name, index) => (free[index] ?? 0) < resources[name])) continue;
        const score = cosine(
          CLASSES.map((name, index) => (free[index] ?? 0) / CAPACITY[name]),
          CLASSES.map((name) => resources[name] / CAPACITY[name]),
        );
        if (score > bestScore) [best, bestScore] = [id, score];
      }
      const booking = redis.multi();
      for (const name of CLASSES) booking.hincrby(`plain:${best}`, name, resources[name]);
      await booking.exec();
      const id = crypto.randomUUID();
      await pool.query('insert into plain_vms values ($1, $2, $3)', [id, best, resources]);
      return { id, host: best };
    } finally {
      await lock.release();
    }
  };
}

const bare = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
    const text = JSON.stringify(createVmSchema.parse(body));
    response.writeHead(202, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(text),
    });
    response.end(text);
  });
});

const handle: Handler = kind === 'plain' ? await plain() : (body) => Promise.resolve(body);
const app = express().use(express.json());
app.post('/v1/vms', async (request, response) => {
  response.status(202).json(await handle(createVmSchema.parse(request.body)));
});
const onExpress = createServer(kind === 'handed' ? messagesOf(app) : {}, app);
const server = kind === 'bare' ? bare : onExpress;
server.listen(Number(port), '127.0.0.1', () => process.send?.('ready'));
