/** Which driver runs the VMs of this machine, and the parts that it is handed. */
import { join, resolve } from 'node:path';
import type { Driver } from '../agent/drivers/driver.js';
import { openQemuDriver } from '../agent/drivers/qemu.js';
import { createSimulatedDriver } from '../agent/drivers/simulated.js';
import { readBootId } from '../agent/identity.js';
import { vmUserOf } from '../agent/qemu/launch.js';
import { bookedRates, plainDisks, plainGroups, plainNetworks } from '../agent/qemu/plain-parts.js';
import type { Log } from '../model/ports.js';
import { systemClock } from '../std/clock.js';
import type { Config } from './config.js';
import { agentDir } from './data-dir.js';
import { findProgram } from './redis-package.js';

/** Debian's packages, and the programs in them that the driver needs. */
const PROGRAMS = [
  ['qemu-system-x86', 'qemu-system-x86_64'],
  ['qemu-utils', 'qemu-img'],
  ['util-linux', 'setpriv'],
  ['util-linux', 'prlimit'],
] as const;

const HOW = {
  kvm: 'with KVM',
  tcg: 'without KVM, which is slow',
  none: 'which runs no guest here; the log tells why',
} as const;

export interface ChosenDriver {
  readonly driver: Driver;
  /** A line for people: what runs the VMs, and why. */
  readonly told: string;
}

/**
 * `auto` takes QEMU where it is installed. Where it is not, VMs are only pretended, and that is said:
 * a real host should rather be configured with `qemu`, which does not start without it.
 * @throws Error when the configured driver cannot be had
 */
export async function driverFor(config: Config, log: Log): Promise<ChosenDriver> {
  const { driver: wanted } = config.agent;
  const simulated = (why: string): ChosenDriver => ({
    driver: createSimulatedDriver({ clock: systemClock }),
    told: `VMs on this machine are only pretended: ${why}`,
  });
  if (wanted === 'simulated') return simulated('AGENT_DRIVER is simulated');
  const missing = await missingForQemu();
  if (missing !== null) {
    if (wanted === 'qemu') throw new Error(`AGENT_DRIVER is qemu, but ${missing}`);
    log.warn('VMs on this machine are only pretended', { why: missing });
    return simulated(missing);
  }
  const driver = await qemuDriver(config, log);
  const told = `VMs on this machine are real: QEMU, ${HOW[driver.accelerator ?? 'none']}`;
  return { driver, told };
}

/** @returns what is missing, as the end of a sentence; null when nothing is */
async function missingForQemu(): Promise<string | null> {
  if (process.platform !== 'linux') return 'the driver qemu needs Linux';
  for (const [name, program] of PROGRAMS) {
    if ((await findProgram(program, searchPath())) === null) {
      return `${program} is not installed (apt-get install ${name})`;
    }
  }
  return null;
}

async function qemuDriver(config: Config, log: Log): Promise<Driver> {
  // Disks name the images below them, so their paths must not depend on where we were started.
  const dir = resolve(agentDir(config.dataDir));
  const program = await findProgram('qemu-system-x86_64', searchPath());
  if (program === null) throw new Error('qemu-system-x86_64 is not there any more');
  return openQemuDriver({
    dir: join(dir, 'qemu'),
    program,
    bootId: await readBootId(),
    user: await vmUserOf(config.agent.vmUser),
    networks: plainNetworks(),
    groups: plainGroups(),
    disks: plainDisks(join(dir, 'images'), join(dir, 'disks')),
    rates: bookedRates,
    powerOffLimitMs: config.agent.powerOffLimitS * 1_000,
    clock: systemClock,
    log: log.child({ program: 'agent' }),
  });
}

const searchPath = (): string => process.env.PATH ?? '';
