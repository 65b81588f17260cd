/** What an agent shows when it joins: a join token once, and its own token from then on. */
import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { identityFile, loadIdentity } from '../../src/agent/identity.js';
import { startFixture, temporaryDir, type AgentFixture } from './agent-fixture.js';

interface Seen {
  readonly shown: string;
  readonly body: { readonly id: string; readonly token: string; readonly credential: string };
}

let server: Server;
let url: string;
let seen: Seen[];
/** Status of the answer to whoever shows this. */
let statusOf: (shown: string) => number;
let fixture: AgentFixture | null;

beforeEach(async () => {
  seen = [];
  fixture = null;
  statusOf = () => 200;
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      const body = JSON.parse(text) as Seen['body'];
      const shown = (request.headers.authorization ?? '').replace('Bearer ', '');
      seen.push({ shown, body });
      response.writeHead(statusOf(shown), { 'content-type': 'application/json' });
      response.end(JSON.stringify({ id: body.id }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port.toString()}`;
});
afterEach(async () => {
  await fixture?.close();
  server.closeAllConnections();
  server.close();
});

let asked = 0;
const start = async (ticket: string | null = 'a-ticket') => {
  asked = 0;
  const joinToken = () => {
    asked += 1;
    return Promise.resolve(ticket);
  };
  fixture = await startFixture({}, { controlPlaneUrl: url, joinToken });
  return fixture;
};

describe('a new host', () => {
  it('shows the join token, and tells the token of its own with it', async () => {
    const { agent } = await start();
    await agent.joined;
    expect(seen.map(({ shown }) => shown)).toEqual(['a-ticket']);
    expect(seen[0]?.body.token).toMatch(/^berth_host_[A-Za-z0-9_-]{43}$/);
    expect(seen[0]?.body.token).not.toContain(agent.credential);
  });

  it('shows the same token again when the answer was lost', async () => {
    let tries = 0;
    statusOf = () => {
      tries += 1;
      return tries < 3 ? 503 : 200;
    };
    const { agent } = await start();
    await agent.joined;
    expect(seen.map(({ shown }) => shown)).toEqual(['a-ticket', 'a-ticket', 'a-ticket']);
    expect(asked).toBe(1);
  });
});

describe('a host that has joined', () => {
  it('shows its own token, and asks for no other', async () => {
    const { agent, restart } = await start();
    await agent.joined;
    const own = seen[0]?.body.token ?? '';
    await restart();
    await fixture?.agent.joined;
    expect(seen.map(({ shown }) => shown)).toEqual(['a-ticket', own]);
    expect(asked).toBe(1);
  });

  it('shows the join token when its own is not known (any more)', async () => {
    const { agent, restart } = await start();
    await agent.joined;
    const own = seen[0]?.body.token ?? '';
    statusOf = (shown) => (shown === own ? 401 : 200);
    await restart();
    await fixture?.agent.joined;
    expect(seen.map(({ shown }) => shown)).toEqual(['a-ticket', own, 'a-ticket']);
  });
});

describe('the identity', () => {
  let dataDir: string;
  beforeEach(async () => {
    dataDir = await temporaryDir();
  });
  afterEach(() => rm(dataDir, { recursive: true }));

  it('is made once, for its owner only', async () => {
    const made = await loadIdentity(dataDir);
    expect(made.isNew).toBe(true);
    expect(await loadIdentity(dataDir)).toEqual({ ...made, isNew: false });
    expect((await stat(identityFile(dataDir))).mode & 0o777).toBe(0o600);
  });

  it('gets a token where an older agent left none, and keeps the rest', async () => {
    const path = join(dataDir, 'identity.json');
    const old = { hostId: 'host-1', credential: 'c'.repeat(43) };
    await writeFile(path, JSON.stringify(old));
    await chmod(path, 0o600);
    const { isNew, ...identity } = await loadIdentity(dataDir);
    expect(identity).toMatchObject(old);
    // The control plane does not know the token yet.
    expect(isNew).toBe(true);
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(identity);
  });
});
