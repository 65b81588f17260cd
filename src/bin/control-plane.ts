/** Joins the rooms of the control plane: stores, agents' client, verbs and loops, HTTP. */
import { randomUUID } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { createApi } from '../api/api.js';
import { createMetrics } from '../api/metrics.js';
import { openCatalogue } from '../catalogue/catalogue.js';
import { cronSchedule } from '../control/cron-schedule.js';
import { createControlPlane } from '../control/control-plane.js';
import { hostFileVerbs } from '../control/host-files.js';
import { verifyVerbs } from '../control/repair-books.js';
import { createVerifyLoop } from '../control/verify-loop.js';
import type { ControlSettings } from '../control/settings.js';
import { createHostFiles } from '../fleet/host-files.js';
import { createAgents } from '../fleet/native-client.js';
import { createLedger } from '../ledger/ledger.js';
import type { RedisTarget } from '../ledger/redis-target.js';
import { watchRules } from '../model/fleet-breaker.js';
import type { Log } from '../model/ports.js';
import { flappingRule } from '../model/stores/fleet-watch.js';
import { LargeShapes } from '../placement/large-shapes.js';
import { STRATEGIES } from '../placement/strategies.js';
import { weightsOf, type Ranking } from '../placement/strategy.js';
import { prngOf } from '../std/prng.js';
import { systemClock } from '../std/clock.js';
import { boundHeapRoom } from '../std/heap-room.js';
import { checkpointFrom } from './checkpoint.js';
import { capacityPolicyOf } from './config-schema.js';
import type { Config, Environment } from './config.js';
import type { ShutDown } from './shut-down.js';
import { databaseFailure, portFailure, redisFailure } from './start-failure.js';
import { VERSION } from './version.js';

export interface ControlPlaneInputs {
  readonly config: Config;
  readonly env: Environment;
  readonly log: Log;
  readonly adminToken: string;
  readonly redis: RedisTarget;
  /** PostgreSQL, or the directory of an embedded one. */
  readonly database: { readonly databaseUrl: string } | { readonly pgliteDir: string };
}

/**
 * Starts the control plane; every part is handed to `shutDown` as soon as it runs.
 * @returns the URL under which the API answers
 */
export async function startControlPlane(
  { config, env, log, adminToken, redis, database }: ControlPlaneInputs,
  shutDown: ShutDown,
): Promise<string> {
  boundHeapRoom();
  const metrics = createMetrics();
  const catalogue = await openCatalogue(database, {
    log,
    poolMax: config.database.poolMax,
    capacity: capacityPolicyOf(config),
    onSetAside: (kind) => {
      metrics.count('berth_set_aside_total', { kind });
    },
  }).catch((error: unknown) => {
    throw 'databaseUrl' in database ? databaseFailure(error, database.databaseUrl) : error;
  });
  shutDown.add('stores', 'catalogue', () => catalogue.close());

  const ledger = await createLedger({
    cell: config.redis.cell,
    url: redis,
    log,
    clock: systemClock,
    lockLeaseMs: config.ledger.lockLeaseMs,
  }).catch((error: unknown) => {
    throw redisFailure(error, redis);
  });
  shutDown.add('stores', 'ledger', () => ledger.close());

  const agents = createAgents({
    deadlineMs: config.health.deadlineMs,
    networks: config.fleet.networks,
    log,
  });
  shutDown.add('control plane', 'connections to agents', () => agents.close());

  const hostFiles = createHostFiles({ networks: config.fleet.networks });
  shutDown.add('control plane', 'files of hosts', () => hostFiles.close());

  const ports = {
    ledger,
    catalogue,
    agents,
    clock: systemClock,
    log,
    telemetry: metrics,
    newId: () => uuidv7(),
    random: Math.random,
    schedule: cronSchedule(log),
    checkpoint: checkpointFrom(env),
  };
  const settings = controlSettingsOf(config);
  const control = createControlPlane(ports, settings, {
    ...ports,
    catalogue: catalogue.forRequests,
  });
  shutDown.add('control plane', 'control', () => control.stop());
  await control.start();

  const verbs = verifyVerbs(ports, control, settings.bookingLeaseMs);
  const verifyLoop = createVerifyLoop({ ports, verbs, replicaId: settings.replicaId });
  shutDown.add('control plane', 'verify', () => verifyLoop.stop());
  verifyLoop.start();

  const api = createApi({
    control: {
      ...control,
      ...verbs,
      ...hostFileVerbs({ catalogue: catalogue.forRequests }, hostFiles),
    },
    catalogue: catalogue.forRequests,
    adminToken,
    limits: config.api,
    log,
    metrics,
    version: VERSION,
    events: {
      readersMax: config.events.readersMax,
      heartbeatMs: config.events.heartbeatS * 1_000,
    },
    port: config.server.port,
    bind: config.server.bind,
  });
  const { url } = await api.listen().catch((error: unknown) => {
    throw portFailure(error, 'PORT', config.server.bind, config.server.port);
  });
  shutDown.add('control plane', 'api', () => api.close());
  log.info('control plane is up', { url });
  return url;
}

const DAY_MS = 86_400_000;

function controlSettingsOf(config: Config): ControlSettings {
  const { placement, ledger, lifecycle, health, events, audit } = config;
  const replicaId = randomUUID();
  return {
    replicaId,
    scheduler: {
      ranking: rankingOf(placement, replicaId),
      queueMax: placement.queueMax,
      batchMax: placement.batchMax,
      holdMs: ledger.lockHoldMs,
      deadlineMs: placement.deadlineMs,
    },
    lifecycle: { ...lifecycle, attemptsMax: placement.attemptsMax },
    waiting: { deadlineS: placement.waitingDeadlineS },
    health: {
      periodS: health.periodS,
      concurrencyMax: health.concurrencyMax,
      onMissing: config.reconcile.onMissing,
      breaker: watchRules(health.periodS, health.deadlineMs, health.breaker),
      flapping: flappingRule(health.flapping),
    },
    bookingLeaseMs: ledger.bookingLeaseMs,
    keep: { eventsMs: events.keepDays * DAY_MS, auditMs: audit.keepDays * DAY_MS },
  };
}

/** @param replicaId the seed of the lot, so that replicas draw apart from each other */
function rankingOf(placement: Config['placement'], replicaId: string): Ranking {
  const { strategy, weights, reserveLarge, randomTop } = placement;
  const lot = prngOf(replicaId);
  return {
    strategy: STRATEGIES[strategy],
    weights: weightsOf(weights),
    ...(reserveLarge === 0 ? {} : { large: new LargeShapes(reserveLarge) }),
    ...(randomTop === 1 ? {} : { top: { count: randomTop, random: () => lot.next() } }),
  };
}
