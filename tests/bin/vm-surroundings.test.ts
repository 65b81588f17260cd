/** What stands around VMs, from the configuration, and what `berth agent --check` says of it. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { loadConfig } from '../../src/bin/config.js';
import { checkHost, openVmSurroundings } from '../../src/bin/vm-surroundings.js';
import { temporaryDir } from '../agent/agent-fixture.js';
import {
  helpless,
  openPrivateNetwork,
  type PrivateNetwork,
} from '../agent/network/private-network.js';
import { silentLog } from '../support/log.js';

let network: PrivateNetwork | null;
let dataDir: string;
beforeAll(async () => {
  network = await openPrivateNetwork();
  dataDir = await temporaryDir();
});
afterAll(async () => {
  network?.close();
  await rm(dataDir, { recursive: true, force: true });
});

const configured = (env: Readonly<Record<string, string>> = {}) =>
  loadConfig({ env: { BERTH_DATA_DIR: dataDir, ...env } });

describe('berth agent --check', () => {
  it('says what VMs would get, and leaves no interface', async () => {
    const run = network?.run ?? helpless(network);
    const text = await checkHost(configured(), silentLog, run);
    const expected =
      network === null ? 'user-mode networking' : 'a TAP for each VM on the bridge berth0';
    expect(text.split('\n')[0]).toBe(`Networking: ${expected}.`);
    expect(text).toMatch(
      /^Every limit of a VM is enforced\.$|^Not enforced on this host:\n {2}\S/m,
    );
    if (network !== null) expect(await run('ip', ['link', 'show'])).not.toMatch(/: vm|berth0/);
  });

  it.each([
    ['a host that allows nothing', {}, /\(.*not permitted\)/],
    ['one that is told to', { AGENT_NETWORK_MODE: 'user' }, /\(it is configured so\)/],
  ])('says what is not enforced on %s', async (_what, env, why) => {
    const text = await checkHost(configured(env), silentLog, helpless(network));
    expect(text).toMatch(
      /^Networking: user-mode networking\.\nNot enforced on this host:\n {2}VMs have/,
    );
    expect(text).toMatch(why);
    expect(text).toContain('\n  Bandwidth limits of VMs are not enforced: ');
  });
});

describe('the surroundings of VMs', () => {
  it('are as they are configured, and say together what is not enforced', async () => {
    const config = configured({
      AGENT_NETWORK_BRIDGE: 'br-test',
      AGENT_NETWORK_SUBNET: '10.80.0.0/29',
    });
    const run = network?.run ?? helpless(network);
    const { networks, groups, notEnforced } = await openVmSurroundings(
      config,
      silentLog,
      undefined,
      run,
    );
    expect(notEnforced).toEqual([...networks.notEnforced, ...groups.notEnforced]);
    expect(networks.mode).toBe(network === null ? 'user' : 'tap');
    if (network === null) return;
    expect(await networks.addressOf('a')).toEqual({
      address: '10.80.0.2',
      prefix: 29,
      gateway: '10.80.0.1',
    });
    expect(await run('ip', ['address', 'show', 'dev', 'br-test'])).toContain('10.80.0.1/29');
    await networks.detach('a');
  });

  it.each(['10.80.0.1/29', 'fd00::/64', '10.80.0.0'])('do not take %s for a subnet', (cidr) => {
    expect(() => configured({ AGENT_NETWORK_SUBNET: cidr })).toThrow('must be an IPv4 network');
  });
});
