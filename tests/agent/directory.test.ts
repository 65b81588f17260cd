/** What an agent keeps in its directory besides VMs: a lock, and the port of its last start. */
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createAgent, type Agent } from '../../src/agent/agent.js';
import { agentOptions, temporaryDir } from './agent-fixture.js';

let dataDir = '';
const running: Agent[] = [];
beforeEach(async () => {
  dataDir = await temporaryDir();
});
afterEach(async () => {
  for (const agent of running.splice(0)) await agent.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function start(): Promise<Agent> {
  const agent = createAgent(agentOptions(dataDir, {}));
  await agent.start();
  running.push(agent);
  return agent;
}

const portOf = (agent: Agent): number => Number(new URL(agent.address).port);

describe('the lock', () => {
  it('keeps a second agent out until the first one stops', async () => {
    const first = await start();
    const { hostId } = first;
    await expect(start()).rejects.toThrow(`another agent is using ${dataDir}`);
    await first.stop();
    expect((await start()).hostId).toBe(hostId);
  });

  it('of a dead process keeps nobody out', async () => {
    await writeFile(join(dataDir, 'lock'), JSON.stringify({ pid: process.pid, startedAt: '1' }));
    await start();
    const lock = JSON.parse(await readFile(join(dataDir, 'lock'), 'utf8')) as unknown;
    expect(lock).toMatchObject({ pid: process.pid, startedAt: expect.not.stringMatching(/^1$/) });
  });

  it('is given back when the agent cannot start', async () => {
    await writeFile(join(dataDir, 'identity.json'), 'not an identity');
    await expect(start()).rejects.toThrow('no usable identity');
    await rm(join(dataDir, 'identity.json'));
    await start();
  });
});

describe('the port', () => {
  it('is the same at the next start', async () => {
    const first = await start();
    const port = portOf(first);
    await first.stop();
    expect(portOf(await start())).toBe(port);
  });

  it('is another when somebody has taken it', async () => {
    const first = await start();
    const port = portOf(first);
    await first.stop();
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    try {
      const second = await start();
      expect(portOf(second)).not.toBe(port);
      expect(await readFile(join(dataDir, 'port'), 'utf8')).toBe(`${portOf(second).toString()}\n`);
    } finally {
      server.close();
    }
  });

  it.each(['', 'x', '70000', '-1'])('is any free one when the file says %j', async (text) => {
    await writeFile(join(dataDir, 'port'), text);
    expect(portOf(await start())).toBeGreaterThan(0);
  });
});
