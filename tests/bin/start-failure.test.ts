/** Failures of a start: what people read, from programs that really fail. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { prepareDataDir } from '../../src/bin/data-dir.js';

const BERTH = fileURLToPath(new URL('../../src/bin/berth.ts', import.meta.url));
/** Where nothing listens. */
const NOWHERE = '127.0.0.1:9';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-start-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `berth` until it ends. */
async function berth(args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, ['--import', 'tsx', BERTH, ...args], {
    env: {
      PATH: process.env.PATH ?? '',
      BERTH_DATA_DIR: join(folder, 'data'),
      AGENT_DRIVER: 'simulated',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => (output += String(chunk)));
  child.stderr.on('data', (chunk) => (output += String(chunk)));
  const [code] = (await once(child, 'close')) as [number | null];
  // Lines of the log are JSON; people read the others.
  const lines = output.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
  return { code, output, lines };
}

describe('berth up', () => {
  it('names REDIS_URL, where it leads and why it fails, and no password', async () => {
    const { code, lines, output } = await berth(['up'], {
      REDIS_URL: `redis://:hunter2@${NOWHERE}`,
    });
    expect(code).toBe(1);
    expect(lines).toEqual([
      `berth: Redis at ${NOWHERE} cannot be used (ECONNREFUSED): start it, or set REDIS_URL (now redis://:***@${NOWHERE})`,
    ]);
    expect(output).not.toContain('hunter2');
  });

  it('names BERTH_DATA_DIR before it touches anything else', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const { code, lines } = await berth(['up'], {
      BERTH_DATA_DIR: file,
      REDIS_URL: `redis://${NOWHERE}`,
    });
    expect(code).toBe(1);
    expect(lines).toEqual([
      `berth: the data directory ${file} cannot be used (it is a file): set BERTH_DATA_DIR to a directory that this user may write to`,
    ]);
  });

  it('says which numbers --hosts takes', async () => {
    const { code, output } = await berth(['up', '--hosts', 'x'], {});
    expect(code).toBe(2);
    expect(output).toContain('Must be a whole number from 0 to 200.');
    expect(output).toContain('simulated hosts to add, 0 to 200');
  });
});

describe('berth serve', () => {
  const stores = {
    REDIS_URL: `redis://${NOWHERE}`,
    DATABASE_URL: `postgres://berth:hunter2@${NOWHERE}/berth`,
  };

  it('names BERTH_ADMIN_TOKEN when there is none, and writes nothing', async () => {
    const { code, lines } = await berth(['serve'], stores);
    expect(code).toBe(1);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('BERTH_ADMIN_TOKEN');
    expect(existsSync(join(folder, 'data'))).toBe(false);
  });

  it('names DATABASE_URL, where it leads and why it fails, and writes nothing', async () => {
    const { code, lines, output } = await berth(['serve'], {
      ...stores,
      BERTH_ADMIN_TOKEN: 'a-token-of-the-environment',
    });
    expect(code).toBe(1);
    expect(lines).toEqual([
      `berth: PostgreSQL at ${NOWHERE} cannot be used (ECONNREFUSED): start it, or set DATABASE_URL (now postgres://berth:***@${NOWHERE}/berth)`,
    ]);
    expect(output).not.toContain('hunter2');
    expect(existsSync(join(folder, 'data'))).toBe(false);
  });
});

describe('berth agent', () => {
  const joining = { BERTH_JOIN_TOKEN: 'a-token-to-join-with' };

  it('names AGENT_PORT when the port is in use, and leaves no lock', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = (server.address() as AddressInfo).port.toString();
    const { code, lines } = await berth(['agent'], { ...joining, AGENT_PORT: port });
    server.close();
    expect(code).toBe(1);
    expect(lines).toEqual([
      `berth: port ${port} on 127.0.0.1 is in use: stop what uses it, or set AGENT_PORT to another (0 = any free one)`,
    ]);
    expect(readdirSync(join(folder, 'data', 'agent'))).not.toContain('lock');
  });

  it('shows the token of berth up to no other machine', async () => {
    const data = join(folder, 'data');
    await prepareDataDir(data);
    writeFileSync(join(data, 'admin.token'), 'a-token-of-this-machine\n');
    const { code, lines } = await berth(['agent'], { BERTH_URL: 'http://berth.invalid' });
    expect(code).toBe(1);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('BERTH_JOIN_TOKEN');
  });
});

describe('prepareDataDir', () => {
  it('makes what is missing and leaves nothing in it', async () => {
    const path = join(folder, 'a', 'b');
    await prepareDataDir(path);
    await prepareDataDir(path);
    expect(readdirSync(path)).toEqual([]);
  });

  it('refuses what cannot be, instead of trying for ever', async () => {
    await expect(prepareDataDir('/proc/x/y')).rejects.toThrow('set BERTH_DATA_DIR');
    writeFileSync(join(folder, 'file'), '');
    await expect(prepareDataDir(join(folder, 'file', 'below'))).rejects.toThrow(
      'a part of it is a file',
    );
  });
});
