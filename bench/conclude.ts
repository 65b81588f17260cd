/**
 * How a benchmark ends: its table, what it ran on, and one line of JSON with all of that. A figure says
 * little without its machine, the versions, and what the stores have on disk before they answer.
 */
import { cpus, loadavg, release, totalmem } from 'node:os';
import { Redis } from 'ioredis';
import pg from 'pg';

/** Versions and settings of the stores, by their names. */
export type Stores = Readonly<Record<string, string>>;

const POSTGRES_SETTINGS = [
  'fsync',
  'synchronous_commit',
  'full_page_writes',
  'shared_buffers',
  'max_wal_size',
];
const REDIS_SETTINGS = ['appendonly', 'appendfsync'];

/** Before the benchmark has begun: the machine should be quiet. */
const [loadBefore = NaN] = loadavg();

/** What the stores say of themselves. */
export async function storesAt({
  redisUrl,
  databaseUrl,
}: {
  readonly redisUrl?: string;
  readonly databaseUrl?: string;
}): Promise<Stores> {
  return {
    ...(redisUrl === undefined ? {} : { redis: await redisAt(redisUrl) }),
    ...(databaseUrl === undefined ? {} : { PostgreSQL: await postgresAt(databaseUrl) }),
  };
}

/** @param figures with the name of the benchmark as `bench` */
export function conclude(
  figures: { readonly bench: string } & Readonly<Record<string, unknown>>,
  text: string,
  stores: Stores = {},
): void {
  const [cpu] = cpus();
  const machine = {
    cpu: `${cpus().length.toString()} × ${cpu?.model ?? 'unknown'}`,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    loadAverageBefore: Math.round(loadBefore * 10) / 10,
  };
  const parts = [
    `${machine.cpu}, ${machine.memoryGib.toString()} GiB`,
    `Linux ${machine.kernel}`,
    `Node ${machine.node}`,
    ...Object.entries(stores).map(([name, of]) => `${name} ${of}`),
    `load average before ${machine.loadAverageBefore.toString()}`,
  ];
  process.stdout.write(
    `${text === '' ? '' : `${text.trimEnd()}\n`}On ${parts.join('; ')}\n${JSON.stringify({ ...figures, machine, stores })}\n`,
  );
}

async function redisAt(url: string): Promise<string> {
  const redis = new Redis(url);
  try {
    const info = await redis.info('server');
    const settings: string[] = [];
    for (const name of REDIS_SETTINGS) {
      const [, value = ''] = await redis.config('GET', name);
      settings.push(`${name} ${value}`);
    }
    return `${/redis_version:(\S+)/.exec(info)?.[1] ?? ''} (${settings.join(', ')})`;
  } finally {
    redis.disconnect();
  }
}

async function postgresAt(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const told = async (text: string) => {
    const { rows } = await client.query<Record<string, unknown>>(text);
    return Object.values(rows[0] ?? {}).join('');
  };
  try {
    const settings: string[] = [];
    for (const name of POSTGRES_SETTINGS) settings.push(`${name} ${await told(`show ${name}`)}`);
    const checkpoints = await told(
      'select checkpoints_timed + checkpoints_req from pg_stat_bgwriter',
    );
    const [version = ''] = (await told('show server_version')).split(' ');
    return `${version} (${settings.join(', ')}; ${checkpoints} checkpoints)`;
  } finally {
    await client.end();
  }
}
