/** Which driver runs the VMs of this machine, and the parts that it is handed. */
import { join, resolve } from 'node:path';
import type { Agent } from '../agent/agent.js';
import type { Driver } from '../agent/drivers/driver.js';
import { openQemuDriver } from '../agent/drivers/qemu.js';
import { createSimulatedDriver } from '../agent/drivers/simulated.js';
import { readBootId } from '../agent/identity.js';
import { openImageStore, type ImageStore } from '../agent/images/image-store.js';
import { openVmDisks, type VmDisksOptions } from '../agent/images/vm-disks.js';
import { macOf } from '../agent/network/names.js';
import type { HostNetworks } from '../agent/network/tap-networks.js';
import { vmUserOf } from '../agent/qemu/launch.js';
import type { Log } from '../model/ports.js';
import { systemClock } from '../std/clock.js';
import type { Config } from './config.js';
import { agentDir } from './data-dir.js';
import { findProgram } from './redis-package.js';
import { openVmSurroundings } from './vm-surroundings.js';

/** Debian's packages, and the programs that the driver needs of each; any one of them will do. */
const PROGRAMS: readonly (readonly [string, readonly string[]])[] = [
  ['qemu-system-x86', ['qemu-system-x86_64']],
  ['qemu-utils', ['qemu-img']],
  ['util-linux', ['setpriv']],
  ['util-linux', ['prlimit']],
  // Seeds are made by either.
  ['genisoimage', ['genisoimage', 'xorriso']],
];

const HOW = {
  kvm: 'with KVM',
  tcg: 'without KVM, which is slow',
  none: 'which runs no guest here; the log tells why',
} as const;

/** What the driver asks the agent that it works for. */
export type HostWord = Pick<Agent, 'rates' | 'checkImageRoom'>;

export interface ChosenDriver {
  readonly driver: Driver;
  /** What VMs are made from; null: the driver takes any name of an image. */
  readonly images: ImageStore | null;
  /** What this host cannot hold its VMs to, each a sentence for people. */
  readonly notEnforced: readonly string[];
  /** A line for people: what runs the VMs, and why. */
  readonly told: string;
}

/**
 * `auto` takes QEMU where it is installed. Where it is not, VMs are only pretended, and that is said:
 * a real host should rather be configured with `qemu`, which does not start without it.
 * @param host what the agent itself knows; asked once it is started
 * @throws Error when the configured driver cannot be had
 */
export async function driverFor(config: Config, log: Log, host: HostWord): Promise<ChosenDriver> {
  const { driver: wanted } = config.agent;
  const simulated = (why: string): ChosenDriver => ({
    driver: createSimulatedDriver({ clock: systemClock }),
    images: null,
    notEnforced: [],
    told: `VMs on this machine are only pretended: ${why}`,
  });
  if (wanted === 'simulated') return simulated('AGENT_DRIVER is simulated');
  const missing = await missingForQemu();
  if (missing !== null) {
    if (wanted === 'qemu') throw new Error(`AGENT_DRIVER is qemu, but ${missing}`);
    log.warn('VMs on this machine are only pretended', { why: missing });
    return simulated(missing);
  }
  const chosen = await qemuDriver(config, log.child({ program: 'agent' }), host);
  const told = `VMs on this machine are real: QEMU, ${HOW[chosen.driver.accelerator ?? 'none']}`;
  return { ...chosen, told };
}

/** @returns what is missing, as the end of a sentence; null when nothing is */
async function missingForQemu(): Promise<string | null> {
  if (process.platform !== 'linux') return 'the driver qemu needs Linux';
  for (const [name, programs] of PROGRAMS) {
    const found = await Promise.all(programs.map((one) => findProgram(one, searchPath())));
    if (found.every((path) => path === null)) {
      const what = programs.length === 1 ? 'is not' : 'is';
      const neither = programs.length === 1 ? '' : 'neither ';
      return `${neither}${programs.join(' nor ')} ${what} installed (apt-get install ${name})`;
    }
  }
  return null;
}

async function qemuDriver(
  config: Config,
  log: Log,
  host: HostWord,
): Promise<Omit<ChosenDriver, 'told'>> {
  // Disks name the images below them, so their paths must not depend on where we were started.
  const dir = resolve(agentDir(config.dataDir));
  const program = await findProgram('qemu-system-x86_64', searchPath());
  if (program === null) throw new Error('qemu-system-x86_64 is not there any more');
  const user = await vmUserOf(config.agent.vmUser);
  const { networks, groups, notEnforced } = await openVmSurroundings(
    config,
    log,
    user?.uid.toString(),
  );
  const images = await openImageStore({
    ...{ directory: join(dir, 'images'), clock: systemClock, log },
    checkRoom: (bytes) => host.checkImageRoom(bytes),
  });
  const disks = await openVmDisks({
    ...{ directory: join(dir, 'disks'), images, log },
    networkOf: seedNetworkFrom(networks),
  });
  const driver = await openQemuDriver({
    dir: join(dir, 'qemu'),
    ...{ program, user, networks, groups, disks, log },
    bootId: await readBootId(),
    rates: (vm) => host.rates(vm),
    powerOffLimitMs: config.agent.powerOffLimitS * 1_000,
    clock: systemClock,
  });
  return { driver, images, notEnforced };
}

/** Guests on a network of this host's own are told their addresses; the others ask for them. */
const seedNetworkFrom =
  (networks: HostNetworks): NonNullable<VmDisksOptions['networkOf']> =>
  async (vmId) => {
    const given = await networks.addressOf(vmId);
    if (given === null) return null;
    return {
      mac: macOf(vmId),
      address: `${given.address}/${given.prefix.toString()}`,
      gateway: given.gateway,
      nameservers: [],
    };
  };

const searchPath = (): string => process.env.PATH ?? '';
