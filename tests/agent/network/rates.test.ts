/**
 * Limits hold: measured rates of VMs that send and are sent four times as much as they may, two at
 * once and both ways, lie within 15 % of the limits. Where the kernel cannot, the host must say so.
 */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { RunTool } from '../../../src/agent/network/commands.js';
import { openHostNetworks } from '../../../src/agent/network/host-networks.js';
import { subnetOf } from '../../../src/agent/network/subnet.js';
import { silentLog } from '../../support/log.js';
import { temporaryDir } from '../agent-fixture.js';
import { BRIDGE, rates, TRAFFIC } from './network-fixture.js';
import { helpless, openPrivateNetwork, type PrivateNetwork } from './private-network.js';

const exec = promisify(execFile);

const TOLERANCE = 0.15;
const MEASURED_S = 3;
/** Senders run before and after what is measured. */
const SENT_S = 6;
/** A machine that is busy with other things may not send enough; more than allowed it never gets. */
const ATTEMPTS = 6;

/** Bytes per second: 16 and 80 Mbit/s. */
const LIMITS = { slow: 2_000_000, fast: 10_000_000 };
const NAMES = ['slow', 'fast'] as const;

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

interface Vm {
  readonly name: (typeof NAMES)[number];
  readonly tap: string;
  readonly mac: string;
  readonly address: string;
}

it('measured rates are within 15 % of the limits, both ways, or the host says that they are not', async () => {
  const run = network?.run ?? helpless(network);
  const subnet = subnetOf('10.79.0.0/24') ?? undefined;
  const networks = await openHostNetworks({
    ...{ directory, mode: 'auto', bridge: BRIDGE, subnet, run, log: silentLog },
  });
  const isHeld = (direction: string) =>
    networks.mode === 'tap' && !networks.notEnforced.some((one) => one.startsWith(direction));
  if (!isHeld('Download') || !isHeld('Upload')) {
    expect(networks.notEnforced.join('\n')).toMatch(/limits of VMs are not enforced/);
    return;
  }
  const vms: Vm[] = [];
  for (const name of NAMES) {
    const attachment = await networks.attach(name, rates(LIMITS[name]));
    const address = (await networks.addressOf(name))?.address ?? '';
    if (attachment.kind !== 'tap') throw new Error('a TAP was expected');
    vms.push({ name, tap: attachment.interfaceName, mac: attachment.mac, address });
  }
  await settles(() => downloads(run, vms), [LIMITS.slow, LIMITS.fast]);
  await settles(() => uploads(run, vms), [LIMITS.slow, LIMITS.fast, LIMITS.slow + LIMITS.fast]);
  await networks.sweep(new Set());
}, 400_000);

/** Measures until all rates are near what they should be; none may ever be above. */
async function settles(
  measure: () => Promise<readonly number[]>,
  limits: readonly number[],
): Promise<void> {
  const shares = async () => (await measure()).map((rate, n) => rate / limits[n]!);
  let measured = await shares();
  for (let attempt = 1; attempt < ATTEMPTS; attempt += 1) {
    expect(Math.max(...measured)).toBeLessThan(1 + TOLERANCE);
    if (Math.min(...measured) > 1 - TOLERANCE) break;
    measured = await shares();
  }
  expect(measured).toHaveLength(limits.length);
  expect(Math.max(...measured)).toBeLessThan(1 + TOLERANCE);
  expect(Math.min(...measured)).toBeGreaterThan(1 - TOLERANCE);
}

const perl = async (...args: readonly string[]): Promise<string> => {
  const [command = '', ...rest] = [...(network?.inside ?? []), 'perl', TRAFFIC, ...args];
  return (await exec(command, rest)).stdout;
};

/** Bytes per second that arrive in each guest, of datagrams to its address. */
const downloads = (run: RunTool, vms: readonly Vm[]): Promise<readonly number[]> =>
  Promise.all(
    vms.map(async ({ name, tap, mac, address }) => {
      await run('ip', ['neighbour', 'replace', address, 'lladdr', mac, 'dev', BRIDGE]);
      const [received] = await Promise.all([
        perl('receive', tap, MEASURED_S.toString(), mac),
        perl('call', address, (LIMITS[name] * 4).toString(), SENT_S.toString()),
      ]);
      return Number(received);
    }),
  );

/** Bytes per second that come up from the bridge while one sends, the other does, and both do. */
async function uploads(run: RunTool, vms: readonly Vm[]): Promise<readonly number[]> {
  const shown = await run('ip', ['link', 'show', 'dev', BRIDGE]);
  const bridgeMac = /link\/ether (\S+)/.exec(shown)?.[1] ?? '';
  const measured: number[] = [];
  for (const senders of [...vms.map((vm) => [vm]), vms]) {
    const sending = senders.map(({ name, tap, mac }) =>
      perl('send', tap, mac, bridgeMac, (LIMITS[name] * 4).toString(), SENT_S.toString()),
    );
    await sleep(1000);
    const [begun, before] = [performance.now(), await receivedBy(run)];
    await sleep(MEASURED_S * 1000);
    const bytes = (await receivedBy(run)) - before;
    measured.push((bytes * 1000) / (performance.now() - begun));
    await Promise.all(sending);
  }
  return measured;
}

async function receivedBy(run: RunTool): Promise<number> {
  const text = await run('ip', ['-json', '-statistics', 'link', 'show', 'dev', BRIDGE]);
  const [link] = JSON.parse(text) as {
    readonly stats64: { readonly rx: { readonly bytes: number } };
  }[];
  return link!.stats64.rx.bytes;
}
