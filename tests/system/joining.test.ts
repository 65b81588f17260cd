/** How a machine becomes a host: with a single-use token, then with its own; nobody else's way in. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { HostBody, HostPageBody } from '../../src/wire/hosts.js';
import type { NewTokenBody, TokenPageBody } from '../../src/wire/tokens.js';
import { ADMIN_TOKEN, call, Cluster, Program, until } from '../support/cluster.js';
import { freePort } from '../support/free-port.js';

let cluster: Cluster;
let url: string;
beforeAll(async () => {
  cluster = await Cluster.start();
  ({ url } = await cluster.replica({ HEALTH_PERIOD_S: '1', FLEET_NETWORKS: '127.0.0.0/8' }));
});
afterAll(() => cluster.stop());

async function joinToken(name: string): Promise<NewTokenBody> {
  const { status, body } = await call<NewTokenBody>(url, 'POST', '/v1/tokens', {
    ...{ role: 'join', name },
  });
  expect(status).toBe(201);
  return body;
}

async function agent(
  name: string,
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Program> {
  const program = new Program(['agent'], {
    BERTH_URL: url,
    BERTH_DATA_DIR: dataDir,
    AGENT_NAME: name,
    AGENT_PORT: (await freePort()).toString(),
    LOG_FORMAT: 'json',
    HEALTH_PERIOD_S: '1',
    ...env,
  });
  cluster.programs.push(program);
  return program;
}

const stateOf = async (name: string) =>
  (await call<HostBody>(url, 'GET', `/v1/hosts/${name}`)).body.state;
const isUp = (name: string) => until(`${name} up`, async () => (await stateOf(name)) === 'up');

describe('an agent', () => {
  it('joins with a token that serves once, and needs none when it comes back', async () => {
    const { token, id } = await joinToken('first');
    const dataDir = await cluster.folder();
    const first = await agent('first', dataDir, { BERTH_JOIN_TOKEN: token });
    await isUp('first');
    const { body } = await call<HostBody>(url, 'GET', '/v1/hosts/first');
    const tokens = await call<TokenPageBody>(url, 'GET', '/v1/tokens?limit=100');
    expect(tokens.body.items.find((one) => one.id === id)).toMatchObject({ usedBy: body.id });

    // It moves to another port, so that nobody finds it before it has joined again.
    await first.end('SIGKILL');
    await until('first missed', async () => (await stateOf('first')) !== 'up');
    await agent('first', dataDir);
    await isUp('first');

    const second = await agent('second', await cluster.folder(), { BERTH_JOIN_TOKEN: token });
    await until('the second refused', async () => {
      await Promise.resolve();
      return second.output.includes('"forbidden"');
    });
    const { body: hosts } = await call<HostPageBody>(url, 'GET', '/v1/hosts');
    expect(hosts.items.map(({ name }) => name)).toEqual(['first']);
    await second.end();
  }, 300_000);

  it('is not taken from an address outside the networks of the fleet', async () => {
    const { token } = await joinToken('far');
    const far = await agent('far', await cluster.folder(), {
      BERTH_JOIN_TOKEN: token,
      AGENT_ADDRESS: 'http://169.254.169.254:80',
    });
    await until('the refusal', async () => {
      await Promise.resolve();
      return far.output.includes('must lie in the networks of the fleet (127.0.0.0/8)');
    });
    expect((await call(url, 'GET', '/v1/hosts/far')).status).toBe(404);
    await far.end();
  }, 300_000);

  it('makes its own tokens where it has an admin one, one for each simulated host', async () => {
    const program = new Program(['agent', '--simulated', '3'], {
      BERTH_URL: url,
      BERTH_DATA_DIR: await cluster.folder(),
      BERTH_ADMIN_TOKEN: ADMIN_TOKEN,
    });
    cluster.programs.push(program);
    for (const name of ['sim-01', 'sim-02', 'sim-03']) await isUp(name);
  }, 300_000);
});
