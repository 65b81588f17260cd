/** The private Redis: started, found again after a crash, guarded against a second user, stopped. */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { ensureRedis, type EmbeddedRedis } from '../../src/bin/embedded-redis.js';
import type { Log } from '../../src/model/ports.js';

const log: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => log,
};

let dataDir = '';
const running: EmbeddedRedis[] = [];
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'berth-redis-'));
});
afterEach(async () => {
  for (const redis of running.splice(0)) await redis.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(folder = dataDir): Promise<EmbeddedRedis> {
  const redis = await ensureRedis({ redisUrl: undefined, dataDir: folder, log });
  running.push(redis);
  return redis;
}

/** Asks a Redis one thing over a connection of its own. */
async function ask<T>(redis: EmbeddedRedis, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(redis.url, { maxRetriesPerRequest: 50 });
  client.on('error', () => undefined);
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}

const processId = async (redis: EmbeddedRedis): Promise<number> => {
  const info = await ask(redis, (client) => client.info('server'));
  return Number(/process_id:(\d+)/.exec(info)?.[1]);
};

describe('ensureRedis', () => {
  it('uses a configured one as it is', async () => {
    const redis = await ensureRedis({ redisUrl: 'redis://far:1', dataDir, log });
    expect(redis).toMatchObject({ url: 'redis://far:1', origin: 'configured' });
    await redis.stop();
    expect(existsSync(join(dataDir, 'redis'))).toBe(false);
  });

  it('starts one that only this user reaches and that never evicts', async () => {
    const redis = await start();
    expect(redis.origin).toBe('started');
    expect(statSync(join(dataDir, 'redis')).mode & 0o777).toBe(0o700);
    const settings = await ask(redis, async (client) => [
      await client.config('GET', 'port'),
      await client.config('GET', 'appendonly'),
      await client.config('GET', 'maxmemory-policy'),
    ]);
    expect(settings).toEqual([
      ['port', '0'],
      ['appendonly', 'yes'],
      ['maxmemory-policy', 'noeviction'],
    ]);
  });

  it('keeps what is in it over a stop, and may be stopped twice', async () => {
    const first = await start();
    await ask(first, (client) => client.set('kept', 'yes'));
    await Promise.all([first.stop(), first.stop()]);
    expect(existsSync(first.url)).toBe(false);
    const second = await start();
    expect(second.origin).toBe('started');
    expect(await ask(second, (client) => client.get('kept'))).toBe('yes');
  });

  it('refuses a folder that is in use, and leaves its Redis alone', async () => {
    const redis = await start();
    await expect(start()).rejects.toThrow('another Berth is using');
    expect(await ask(redis, (client) => client.ping())).toBe('PONG');
  });

  it('takes over what a crashed parent left, and stops it', async () => {
    // The same program as a crashed Berth leaves behind: a server whose keeper is gone.
    const folder = join(dataDir, 'redis');
    mkdirSync(folder, { mode: 0o700 });
    const socket = join(folder, 'redis.sock');
    const left = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--dir', folder], {
      stdio: 'ignore',
    });
    const ended = new Promise((resolve) => left.once('exit', resolve));
    const orphan: EmbeddedRedis = { url: socket, origin: 'adopted', stop: async () => {} };
    expect(await ask(orphan, (client) => client.ping())).toBe('PONG');

    const redis = await start();
    expect(redis.origin).toBe('adopted');
    expect(await processId(redis)).toBe(left.pid);
    await redis.stop();
    expect(await ended).toBe(0);
  });

  it('starts it again when it dies', async () => {
    const redis = await start();
    const before = await processId(redis);
    process.kill(before, 'SIGKILL');
    const after = await processId(redis);
    expect(after).not.toBe(before);
  });

  it('finds a short socket path when the folder has a long one', async () => {
    const redis = await start(join(dataDir, 'x'.repeat(120)));
    expect(Buffer.byteLength(redis.url)).toBeLessThanOrEqual(100);
    expect(await ask(redis, (client) => client.ping())).toBe('PONG');
    rmSync(join(redis.url, '..'), { recursive: true });
  });

  it('says in one line what to do where there is no Redis to be had', async () => {
    const nothing = ensureRedis({ redisUrl: undefined, dataDir, log, searchPath: dataDir });
    await expect(nothing).rejects.toThrow(/^no Redis server was found: install one .*REDIS_URL$/);
  });

  it('repeats what a server that does not start has said', async () => {
    const broken = join(dataDir, 'redis-server');
    writeFileSync(broken, '#!/bin/sh\necho "out of cheese"\nexit 3\n');
    chmodSync(broken, 0o755);
    const attempt = ensureRedis({
      redisUrl: undefined,
      dataDir,
      log,
      searchPath: `${dataDir}:/bin:/usr/bin`,
    });
    await expect(attempt).rejects.toThrow(/ended with 3.*out of cheese/);
  });
});
