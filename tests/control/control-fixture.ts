/** Control planes of this process on a real Redis, a real PostgreSQL and real agents. */
import { randomUUID } from 'node:crypto';
import type { AgentOptions } from '../../src/agent/agent.js';
import { openCatalogue } from '../../src/catalogue/catalogue.js';
import { cronSchedule } from '../../src/control/cron-schedule.js';
import { createControlPlane, type ControlPlane } from '../../src/control/control-plane.js';
import { hostFileVerbs, type HostFileVerbs } from '../../src/control/host-files.js';
import { verifyVerbs, type VerifyVerbs } from '../../src/control/repair-books.js';
import type { Ports } from '../../src/control/ports.js';
import type { ControlSettings } from '../../src/control/settings.js';
import { createHostFiles } from '../../src/fleet/host-files.js';
import { createAgents } from '../../src/fleet/native-client.js';
import { createLedger } from '../../src/ledger/ledger.js';
import { watchRules } from '../../src/model/fleet-breaker.js';
import type { Resources } from '../../src/model/resources.js';
import { flappingRule } from '../../src/model/stores/fleet-watch.js';
import type { Vm } from '../../src/model/vm.js';
import { cosine } from '../../src/placement/cosine.js';
import { weightsOf } from '../../src/placement/strategy.js';
import { systemClock } from '../../src/std/clock.js';
import type { DriverPatchBody } from '../../src/wire/agent.js';
import { startFixture, type AgentFixture } from '../agent/agent-fixture.js';
import { DEFAULT_POLICY } from '../support/hosts.js';
import { tester } from '../support/callers.js';
import { silentLog } from '../support/log.js';
import { freshDatabase } from '../support/postgres.js';
import { startRedis, type RedisServer } from '../support/redis.js';

export const HEALTH: ControlSettings['health'] = {
  periodS: 1,
  concurrencyMax: 16,
  onMissing: 'mark',
  breaker: watchRules(1, 1_000, { share: 0.3, hostsMin: 3 }),
  flapping: flappingRule({ changesMax: 6, windowS: 3_600, cordonS: 3_600 }),
};

export const SCHEDULER: ControlSettings['scheduler'] = {
  ranking: { strategy: cosine, weights: weightsOf({}) },
  queueMax: 500,
  batchMax: 64,
  holdMs: 200,
  deadlineMs: 5_000,
};

const SETTINGS: Omit<ControlSettings, 'replicaId'> = {
  scheduler: SCHEDULER,
  lifecycle: { leaseMs: 5_000, tickMs: 100, concurrencyMax: 32, perHostMax: 8, attemptsMax: 3 },
  waiting: { deadlineS: 60 },
  health: HEALTH,
  bookingLeaseMs: 500,
  keep: { eventsMs: 3_600_000, auditMs: 3_600_000 },
};

export interface Counted {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface TestReplica {
  readonly control: ControlPlane;
  readonly ports: Ports;
  readonly verify: VerifyVerbs;
  readonly files: HostFileVerbs;
  /** Everything that was counted, in order. */
  readonly counted: readonly Counted[];
}

export class ControlFixture {
  readonly redis: RedisServer;
  readonly databaseUrl: string;
  readonly #closing: (() => Promise<unknown>)[] = [];

  private constructor(redis: RedisServer, databaseUrl: string) {
    this.redis = redis;
    this.databaseUrl = databaseUrl;
  }

  static async start(): Promise<ControlFixture> {
    return new ControlFixture(await startRedis(), await freshDatabase());
  }

  /** A replica with its own connections. `change` may put something between it and its ports. */
  async replica(
    change: (ports: Ports) => Partial<Ports> = () => ({}),
    settings: Partial<ControlSettings> = {},
  ): Promise<TestReplica> {
    const catalogue = await openCatalogue(
      { databaseUrl: this.databaseUrl },
      { log: silentLog, capacity: DEFAULT_POLICY },
    );
    const ledger = await createLedger({
      cell: 'main',
      url: this.redis.url,
      log: silentLog,
      clock: systemClock,
    });
    const agents = createAgents({ log: silentLog, deadlineMs: 1_000 });
    const hostFiles = createHostFiles();
    const counted: Counted[] = [];
    const real: Ports = {
      ledger,
      catalogue,
      agents,
      clock: systemClock,
      log: silentLog,
      telemetry: {
        count: (name, labels = {}) => counted.push({ name, labels }),
        observe: () => undefined,
      },
      newId: randomUUID,
      random: Math.random,
      schedule: cronSchedule(silentLog),
      checkpoint: () => undefined,
    };
    const ports = { ...real, ...change(real) };
    const all = { replicaId: randomUUID(), ...SETTINGS, ...settings };
    const control = createControlPlane(ports, all);
    const verify = verifyVerbs({ ...ports, ledger, catalogue }, control, all.bookingLeaseMs);
    await control.start();
    this.#closing.push(async () => {
      await control.stop();
      await Promise.all([ledger.close(), catalogue.close(), agents.close(), hostFiles.close()]);
    });
    return { control, ports, verify, files: hostFileVerbs(ports, hostFiles), counted };
  }

  /** A simulated host, joined and up. */
  async host(
    { control, ports }: TestReplica,
    name: string,
    totals: Resources,
    driver: DriverPatchBody = { bootMs: 10, stopMs: 10 },
    changes: Partial<AgentOptions> = {},
  ): Promise<AgentFixture> {
    const fixture = await startFixture(driver, {
      name,
      configuredTotals: totals,
      capacityPolicy: DEFAULT_POLICY,
      ...changes,
    });
    this.#closing.push(() => fixture.close());
    const { address, credential, hostId } = fixture.contact();
    await control.joinHost(
      {
        id: hostId,
        name,
        address,
        credential,
        zone: 'default',
        labels: {},
        totals: Object.fromEntries(
          Object.entries(totals).map(([resource, total]) => [
            resource,
            { total, source: 'configured' as const },
          ]),
        ),
        version: 'test',
        bootId: 'test',
        ticket: { by: 'admin' },
      },
      tester,
    );
    await eventually(`${name} up`, async () => {
      const fleet = [...(await ports.ledger.view()).hosts()];
      return fleet.some((host) => host.id === hostId && host.state === 'up');
    });
    return fixture;
  }

  async stop(): Promise<void> {
    for (const close of this.#closing.reverse()) await close();
    await this.redis.stop();
  }
}

/** Waits until a check holds; says what it waited for when it never does. */
export async function eventually(
  what: string,
  check: () => Promise<boolean>,
  limitMs = 45_000,
): Promise<void> {
  const end = systemClock.monotonic() + limitMs;
  while (!(await check())) {
    if (systemClock.monotonic() > end) throw new Error(`waited in vain for: ${what}`);
    await systemClock.sleep(20);
  }
}

/** How a VM ends. */
export const settled = (control: ControlPlane, vm: Vm): Promise<Vm> =>
  control.waitForVm(vm.id, 45_000, new AbortController().signal);
