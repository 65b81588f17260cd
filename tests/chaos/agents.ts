/**
 * A process with some simulated hosts whose every start and stop is written down. Started by
 * stack.ts with its settings as one argument.
 */
import { rmSync, existsSync } from 'node:fs';
import { createAgent } from '../../src/agent/agent.js';
import { createSimulatedDriver } from '../../src/agent/drivers/simulated.js';
import { systemClock } from '../../src/std/clock.js';
import { createLogger } from '../../src/std/log.js';
import { ADMIN_TOKEN } from '../support/cluster.js';
import { DEFAULT_POLICY } from '../support/hosts.js';
import { factWriter, observedDriver, rebootMarkOf } from './observed-driver.js';

export interface AgentsSettings {
  readonly controlPlaneUrl: string;
  readonly factsFile: string;
  readonly bind: string;
  readonly hosts: readonly {
    readonly name: string;
    readonly port: number;
    /** Where the replicas reach it. */
    readonly address: string;
    readonly dataDir: string;
    readonly totals: Readonly<Record<string, number>>;
  }[];
}

/** Long enough for a VM to be met in passing, short enough to converge soon. */
const BOOT_MS = 100;
const STOP_MS = 50;
/** Three polls of the replicas' period. */
const REJOIN_AFTER_MS = 6_000;

const settings = JSON.parse(process.argv[2] ?? '') as AgentsSettings;
const rebootedFile = rebootMarkOf(settings.factsFile);
const rebooted = existsSync(rebootedFile);
rmSync(rebootedFile, { force: true });
const tellOf = factWriter(settings.factsFile);
for (const { name, port, address, dataDir, totals } of settings.hosts) {
  await createAgent({
    ...{ name, port, dataDir, zone: 'default', labels: {} },
    bind: settings.bind,
    advertiseAddress: address,
    controlPlaneUrl: settings.controlPlaneUrl,
    joinToken: () => Promise.resolve(ADMIN_TOKEN),
    capacityPolicy: DEFAULT_POLICY,
    configuredTotals: totals,
    driver: observedDriver(
      createSimulatedDriver({ clock: systemClock, given: { bootMs: BOOT_MS, stopMs: STOP_MS } }),
      tellOf(name),
      rebooted,
    ),
    rejoinAfterMs: REJOIN_AFTER_MS,
    joinBackoff: { baseMs: 200, maxMs: 2_000 },
    log: createLogger({ level: 'info', pretty: false }),
    clock: systemClock,
    random: Math.random,
  }).start();
}
