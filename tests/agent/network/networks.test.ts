/**
 * The networks of VMs on a real kernel, in a namespace of the test's own. Where the machine allows
 * none, the same is asked of a host that cannot, which must say so.
 */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RunTool } from '../../../src/agent/network/commands.js';
import {
  openHostNetworks,
  type HostNetworksOptions,
} from '../../../src/agent/network/host-networks.js';
import { macOf, tagOf, uploadName } from '../../../src/agent/network/names.js';
import { subnetOf } from '../../../src/agent/network/subnet.js';
import { silentLog } from '../../support/log.js';
import { temporaryDir } from '../agent-fixture.js';
import { BRIDGE, linesIn, rates, remainsOf, TRAFFIC } from './network-fixture.js';
import { helpless, openPrivateNetwork, type PrivateNetwork } from './private-network.js';

const exec = promisify(execFile);

let network: PrivateNetwork | null;
let directory: string;
beforeAll(async () => {
  network = await openPrivateNetwork();
  directory = await temporaryDir();
});
afterAll(async () => {
  network?.close();
  await rm(directory, { recursive: true, force: true });
});

const open = (run: RunTool, changes: Partial<HostNetworksOptions> = {}) =>
  openHostNetworks({ directory, mode: 'auto', bridge: BRIDGE, run, log: silentLog, ...changes });

const USER_MODE =
  /^VMs have user-mode networking, in which they reach nobody and nobody reaches them \(.+\)\.$/;

describe('a host that may not make TAPs', () => {
  it('has user-mode networking, and says that nothing is limited', async () => {
    const networks = await open(helpless(network));
    expect(networks.mode).toBe('user');
    expect(networks.notEnforced).toEqual([
      expect.stringMatching(USER_MODE),
      'Bandwidth limits of VMs are not enforced: user-mode networking has none.',
    ]);
    expect(await networks.attach('a', rates(1000))).toEqual({ kind: 'user', mac: macOf('a') });
    expect(await networks.addressOf('a')).toBeNull();
    await networks.detach('a');
    await networks.sweep(new Set());
  });

  it('does not start where TAPs are asked for', async () => {
    await expect(open(helpless(network), { mode: 'tap' })).rejects.toThrow(
      /^VMs cannot have TAPs on this host: /,
    );
  });

  it('is told where the tools are missing', async () => {
    const run: RunTool = () => Promise.reject(new Error('ip is not installed (package iproute2)'));
    const { notEnforced } = await open(run);
    expect(notEnforced[0]).toContain('(ip is not installed (package iproute2)).');
  });
});

/** Where the kernel allows no namespace there is nothing to look at: the host above is what it has. */
const inNamespace = (title: string, test: (run: RunTool) => Promise<void>): void => {
  it(title, async () => {
    if (network === null) {
      expect((await open(helpless(network))).notEnforced).toHaveLength(2);
      return;
    }
    await test(network.run);
  });
};

describe('a host that may', () => {
  inNamespace('gives each VM a TAP on the bridge, the same when asked again', async (run) => {
    const networks = await open(run, { subnet: subnetOf('10.77.0.0/24') ?? undefined });
    expect(networks.mode).toBe('tap');
    const first = await networks.attach('a', rates(1_000_000));
    const text = await run('ip', ['-details', 'link', 'show', 'dev', nameOf(first)]);
    expect(text).toContain(`master ${BRIDGE}`);
    expect(text).toContain('tun type tap');
    expect(text).toContain('alias berth a');
    expect(text).toContain('isolated on');
    expect(await networks.attach('a', rates(1_000_000))).toEqual(first);
    expect(await networks.attach('b', rates(null))).not.toEqual(first);
    expect((await networks.addressOf('a'))?.address).toBe('10.77.0.2');
    expect(
      (await run('ip', ['address', 'show', 'dev', BRIDGE])).match(/10\.77\.0\.1\/24/g),
    ).toHaveLength(1);
    await networks.detach('a');
    await networks.detach('a');
    await networks.detach('b');
    expect(await remainsOf(run, directory)).toEqual([]);
  });

  inNamespace('changes the limits of a VM that has some, and takes them away', async (run) => {
    const networks = await open(run);
    const tap = nameOf(await networks.attach('c', rates(1_000_000)));
    const device = uploadName(tagOf(directory));
    const shown = async () => [
      ...linesIn(await run('tc', ['qdisc', 'show', 'dev', tap])),
      ...linesIn(await run('tc', ['class', 'show', 'dev', device])).filter(
        (line) => !line.includes('1:ffff'),
      ),
    ];
    const before = await shown();
    expect(before.join('\n')).toMatch(/tbf .*rate 8Mbit[^]*clsact[^]*htb .*rate 8Mbit ceil 8Mbit/);
    await networks.attach('c', { ...rates(2_000_000), uploadBytesPerS: 3_000_000 });
    expect((await shown()).join('\n')).toMatch(/tbf .*rate 16Mbit[^]*rate 24Mbit ceil 24Mbit/);
    expect(await shown()).toHaveLength(before.length);
    await networks.attach('c', rates(null));
    expect((await shown()).join('\n')).not.toMatch(/tbf|clsact|htb/);
    await networks.detach('c');
    expect(await remainsOf(run, directory)).toEqual([]);
  });

  inNamespace('makes anew what somebody has taken away', async (run) => {
    const networks = await open(run);
    const tap = nameOf(await networks.attach('d', rates(1_000_000)));
    await run('ip', ['link', 'delete', 'dev', uploadName(tagOf(directory))]);
    await run('ip', ['link', 'delete', 'dev', BRIDGE]);
    await networks.attach('d', rates(1_000_000));
    expect(await run('ip', ['link', 'show', 'dev', tap])).toContain(`master ${BRIDGE}`);
    expect((await remainsOf(run, directory)).join('\n')).toMatch(/class htb/);
    await networks.detach('d');
  });

  inNamespace('sweeps away what belongs to no VM, and nothing of others', async (run) => {
    const networks = await open(run);
    await networks.attach('e', rates(1_000_000));
    await networks.attach('f', rates(1_000_000));
    const other = await temporaryDir();
    const others = await open(run, { directory: other });
    await others.attach('e', rates(1_000_000));
    await networks.sweep(new Set(['e']));
    expect((await remainsOf(run, directory)).filter((line) => line.startsWith('vm'))).toHaveLength(
      1,
    );
    expect((await remainsOf(run, other)).filter((line) => line.startsWith('vm'))).toHaveLength(1);
    // Also what an agent knows nothing of any more.
    await rm(`${directory}/numbers.json`);
    await (await open(run)).sweep(new Set());
    expect(await remainsOf(run, directory)).toEqual([]);
    await others.detach('e');
    await rm(other, { recursive: true });
  });

  inNamespace('clears away what it made, also when it has no TAPs any more', async (run) => {
    const links = async () => run('ip', ['-brief', 'link', 'show']);
    const taps = await open(run);
    const names = [];
    for (const vm of ['u', 'v', 'w']) names.push(nameOf(await taps.attach(vm, rates(1_000_000))));
    expect(await links()).toContain(uploadName(tagOf(directory)));
    // A host that may do nothing says so, and goes on.
    await (await open(helpless(network), { mode: 'user' })).detach('u');
    expect(await links()).toContain(names[0]);

    const users = await open(run, { mode: 'user' });
    expect((await users.attach('u', rates(null))).kind).toBe('user');
    await users.detach('u');
    expect(await links()).not.toContain(names[0]);
    expect(await links()).toContain(names[1]);
    await users.sweep(new Set(['v']));
    expect(await links()).not.toContain(names[2]);
    expect(await links()).toContain(uploadName(tagOf(directory)));
    await users.sweep(new Set());
    expect(await links()).not.toContain(tagOf(directory));
  });

  inNamespace(
    'has no device for uploads after its last VM, and again for the next',
    async (run) => {
      const networks = await open(run);
      const device = uploadName(tagOf(directory));
      for (const vm of ['x', 'y']) {
        await networks.attach(vm, rates(1_000_000));
        expect(await run('ip', ['-brief', 'link', 'show'])).toContain(device);
        await networks.detach(vm);
        expect(await run('ip', ['-brief', 'link', 'show'])).not.toContain(device);
      }
    },
  );

  inNamespace('uses a bridge that is there, and leaves its addresses alone', async (run) => {
    await run('ip', ['link', 'add', 'name', 'own-bridge', 'mtu', '9000', 'type', 'bridge']);
    const subnet = subnetOf('10.78.0.0/24') ?? undefined;
    const networks = await open(run, { bridge: 'own-bridge', subnet });
    const tap = nameOf(await networks.attach('g', rates(null)));
    expect(await run('ip', ['link', 'show', 'dev', tap])).toContain('mtu 9000');
    expect(await run('ip', ['address', 'show', 'dev', 'own-bridge'])).not.toContain('10.78.');
    await networks.detach('g');
  });

  inNamespace('takes an uplink without addresses, and none with', async (run) => {
    await run('ip', ['link', 'add', 'name', 'card0', 'type', 'veth', 'peer', 'name', 'far0']);
    await run('ip', ['address', 'add', '192.0.2.7/24', 'dev', 'card0']);
    const refused = await open(run, { bridge: 'br-up', uplink: 'card0' });
    expect(refused.notEnforced[0]).toContain('the interface card0 has an address of this host');
    await run('ip', ['address', 'flush', 'dev', 'card0']);
    expect((await open(run, { bridge: 'br-up', uplink: 'card0' })).mode).toBe('tap');
    expect(await run('ip', ['link', 'show', 'dev', 'card0'])).toContain('master br-up');
    const missing = await open(run, { bridge: 'br-up', uplink: 'card9' });
    expect(missing.notEnforced[0]).toContain('there is no interface card9');
    expect((await open(run, { bridge: 'far0' })).notEnforced[0]).toContain('far0 is no bridge');
  });

  inNamespace(
    'leaves nothing of its probe behind, and clears what a killed one left',
    async (run) => {
      const links = async () => linesIn(await run('ip', ['-brief', 'link', 'show'])).length;
      await open(run);
      const before = await links();
      await open(run);
      expect(await links()).toBe(before);
      let commands = 0;
      const dying: RunTool = (tool, args, input) => {
        commands += 1;
        return commands > 9 ? Promise.reject(new Error('killed')) : run(tool, args, input);
      };
      await open(dying).catch(() => undefined);
      expect(await links()).toBeGreaterThan(before);
      await open(run);
      expect(await links()).toBe(before);
    },
  );

  inNamespace('keeps VMs apart, and drops what is sent under a false address', async (run) => {
    const networks = await open(run);
    const [one, two] = [
      await networks.attach('h', rates(null)),
      await networks.attach('i', rates(null)),
    ];
    const send = (from: string, to: string) => perl('send', nameOf(one), from, to, '100000', '2');
    const bridgeMac =
      /link\/ether (\S+)/.exec(await run('ip', ['link', 'show', 'dev', BRIDGE]))?.[1] ?? '';
    const heard = await receivedBy(run, () => send(macOf('h'), bridgeMac));
    expect(heard).toBeGreaterThan(100_000);
    const lied = await receivedBy(run, () => send(macOf('elsewhere'), bridgeMac));
    expect(lied).toBeLessThan(heard / 10);
    const [{ stdout }] = await Promise.all([
      inside('receive', nameOf(two), '3', macOf('i')),
      send(macOf('h'), macOf('i')),
    ]);
    expect(Number(stdout)).toBe(0);
    await networks.sweep(new Set());
  });
});

const inside = (...args: string[]) => {
  const [command = '', ...rest] = [...(network?.inside ?? []), 'perl', TRAFFIC, ...args];
  return exec(command, rest);
};

const perl = async (...args: string[]): Promise<void> => {
  await inside(...args);
};

/** Bytes that the bridge hands up meanwhile. */
async function receivedBy(run: RunTool, work: () => Promise<void>): Promise<number> {
  const count = async () => {
    const text = await run('ip', ['-json', '-statistics', 'link', 'show', 'dev', BRIDGE]);
    const [link] = JSON.parse(text) as {
      readonly stats64: { readonly rx: { readonly bytes: number } };
    }[];
    return link!.stats64.rx.bytes;
  };
  const before = await count();
  await work();
  return (await count()) - before;
}

function nameOf(attachment: { readonly kind: string; readonly interfaceName?: string }): string {
  expect(attachment.kind).toBe('tap');
  return attachment.interfaceName ?? '';
}
