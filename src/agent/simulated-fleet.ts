/**
 * Many simulated hosts in one process, for trying Berth on one machine. Each is a whole agent with
 * its own identity, port and data directory; only its machine and its VMs are pretended.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { CapacityPolicy } from '../model/inventory.js';
import type { Clock, Log } from '../model/ports.js';
import type { Resources } from '../model/resources.js';
import type { DriverPatchBody } from '../wire/agent.js';
import { createAgent, type Agent } from './agent.js';
import { createSimulatedDriver } from './drivers/simulated.js';
import type { HostSettings } from './host-settings.js';

export interface SimulatedFleetOptions {
  readonly count: number;
  /** The same seed gives the same hosts; a larger count keeps the earlier ones as they were. */
  readonly seed: string;
  /** Each host has a directory of its own in this one. */
  readonly dataDir: string;
  readonly bind: string;
  readonly controlPlaneUrl: string;
  readonly joinToken: (name: string) => Promise<string | null>;
  readonly capacityPolicy: CapacityPolicy;
  /** As of a host of its own; what a simulated one has is made up all the same. */
  readonly settings?: HostSettings | undefined;
  readonly driverSettings?: DriverPatchBody | undefined;
  readonly version?: string | undefined;
  readonly log: Log;
  readonly clock: Clock;
  random(): number;
}

export interface SimulatedFleet {
  readonly agents: readonly Agent[];
  /** Starts every agent; if one cannot be started, none is left running. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

const MIB_PER_GIB = 1024;
const CPU_SIZES = [8, 16, 32, 64] as const;
const MEMORY_GIB_PER_CPU = [2, 4, 8] as const;
const DISK_GIB = [256, 512, 1024, 2048] as const;
const ZONES = ['zone-a', 'zone-b', 'zone-c'] as const;

export function createSimulatedFleet(options: SimulatedFleetOptions): SimulatedFleet {
  const agents = Array.from({ length: options.count }, (_, index) => agentAt(options, index));
  const stop = async (): Promise<void> => {
    await Promise.all(agents.map((agent) => agent.stop()));
  };
  return {
    agents,
    async start() {
      const results = await Promise.allSettled(agents.map((agent) => agent.start()));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed === undefined) return;
      await stop();
      const cause: unknown = failed.reason;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`a simulated host could not be started: ${why}`, { cause });
    },
    stop,
  };
}

function agentAt(options: SimulatedFleetOptions, index: number): Agent {
  const { clock, driverSettings: given = {} } = options;
  const name = `sim-${(index + 1).toString().padStart(2, '0')}`;
  const pick = pickerOf(`${options.seed}/${name}`);
  return createAgent({
    dataDir: join(options.dataDir, name),
    bind: options.bind,
    port: 0,
    name,
    zone: ZONES[index % ZONES.length] ?? ZONES[0],
    configuredTotals: totalsFrom(pick),
    labels: { disk: pick(['ssd', 'hdd']) },
    controlPlaneUrl: options.controlPlaneUrl,
    joinToken: options.joinToken,
    driver: createSimulatedDriver({ clock, given }),
    capacityPolicy: options.capacityPolicy,
    settings: options.settings,
    version: options.version,
    log: options.log,
    clock,
    random: () => options.random(),
  });
}

type Pick = <T>(choices: readonly [T, ...T[]]) => T;

/** Draws from the digest of a text, byte by byte; good for a few draws. */
function pickerOf(text: string): Pick {
  const bytes = createHash('sha256').update(text).digest();
  let at = 0;
  return (choices) => {
    const byte = bytes[at] ?? 0;
    at += 1;
    return choices[byte % choices.length] ?? choices[0];
  };
}

function totalsFrom(pick: Pick): Resources {
  const cpu = pick(CPU_SIZES);
  return {
    cpu,
    memory: cpu * pick(MEMORY_GIB_PER_CPU) * MIB_PER_GIB,
    disk: pick(DISK_GIB) * MIB_PER_GIB,
  };
}
