/** Joins the rooms of the control plane: stores, agents' client, verbs and loops, HTTP. */
import { randomUUID } from 'node:crypto';
import { createApi } from '../api/api.js';
import { createMetrics } from '../api/metrics.js';
import { openCatalogue } from '../catalogue/catalogue.js';
import { createControlPlane } from '../control/control-plane.js';
import type { ControlSettings } from '../control/settings.js';
import { createAgents } from '../fleet/native-client.js';
import { createLedger } from '../ledger/ledger.js';
import type { Log } from '../model/ports.js';
import { cosine } from '../placement/cosine.js';
import { weightsOf } from '../placement/strategy.js';
import { systemClock } from '../std/clock.js';
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
  readonly joinToken: string | undefined;
  /** A Redis URL or the path of its socket. */
  readonly redisUrl: string;
  /** PostgreSQL, or the directory of an embedded one. */
  readonly database: { readonly databaseUrl: string } | { readonly pgliteDir: string };
}

/**
 * Starts the control plane; every part is handed to `shutDown` as soon as it runs.
 * @returns the URL under which the API answers
 */
export async function startControlPlane(
  { config, env, log, adminToken, joinToken, redisUrl, database }: ControlPlaneInputs,
  shutDown: ShutDown,
): Promise<string> {
  const catalogue = await openCatalogue(database, {
    log,
    poolMax: config.database.poolMax,
  }).catch((error: unknown) => {
    throw 'databaseUrl' in database ? databaseFailure(error, database.databaseUrl) : error;
  });
  shutDown.add('stores', 'catalogue', () => catalogue.close());

  const ledger = await createLedger({
    cell: config.redis.cell,
    url: redisUrl,
    log,
    clock: systemClock,
    lockLeaseMs: config.ledger.lockLeaseMs,
  }).catch((error: unknown) => {
    throw redisFailure(error, redisUrl);
  });
  shutDown.add('stores', 'ledger', () => ledger.close());

  const agents = createAgents({ deadlineMs: config.health.deadlineMs, log });
  shutDown.add('control plane', 'connections to agents', () => agents.close());

  const metrics = createMetrics();
  const control = createControlPlane(
    {
      ledger,
      catalogue,
      agents,
      clock: systemClock,
      log,
      telemetry: metrics,
      newId: randomUUID,
      random: Math.random,
      checkpoint: checkpointFrom(env),
    },
    controlSettingsOf(config),
  );
  shutDown.add('control plane', 'control', () => control.stop());
  await control.start();

  const api = createApi({
    control,
    catalogue,
    adminToken,
    joinToken,
    log,
    metrics,
    version: VERSION,
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

function controlSettingsOf(config: Config): ControlSettings {
  const { placement, ledger, lifecycle, health } = config;
  return {
    replicaId: randomUUID(),
    capacity: capacityPolicyOf(config),
    scheduler: {
      ranking: { strategy: cosine, weights: weightsOf(placement.weights) },
      queueMax: placement.queueMax,
      batchMax: placement.batchMax,
      holdMs: ledger.lockHoldMs,
      deadlineMs: placement.deadlineMs,
    },
    lifecycle: { ...lifecycle, attemptsMax: placement.attemptsMax },
    health: { periodS: health.periodS, concurrencyMax: health.concurrencyMax },
    bookingLeaseMs: ledger.bookingLeaseMs,
  };
}
