/** `berth up`: everything on one machine, with what is missing filled in. */
import { join } from 'node:path';
import type { Log } from '../model/ports.js';
import { systemClock } from '../std/clock.js';
import { adminTokenFile, keepAdminToken } from './admin-token.js';
import { startAgent, startSimulatedHosts } from './agent.js';
import type { Config, Environment } from './config.js';
import { startControlPlane } from './control-plane.js';
import { joinTokenFrom } from './join-token.js';
import { prepareDataDir } from './data-dir.js';
import { ensureRedis } from './embedded-redis.js';
import type { ShutDown } from './shut-down.js';
import { nextSteps } from './next-steps.js';
import { redisTargetOf } from './redis-target.js';
import { tryRedis } from './try-redis.js';

/** How long the hosts may take to be seen up before we say so. */
const HOSTS_UP_MS = 20_000;
const ASK_EVERY_MS = 100;

export interface UpInputs {
  readonly config: Config;
  readonly env: Environment;
  readonly log: Log;
  /** Simulated hosts beside this machine's. */
  readonly hosts: number;
  readonly print: (text: string) => void;
}

/** Starts everything and prints what to try next. */
export async function startUp(inputs: UpInputs, shutDown: ShutDown): Promise<void> {
  const { config, env, log, hosts, print } = inputs;
  await prepareDataDir(config.dataDir);
  const configured = redisTargetOf(config.redis);
  if (configured !== null) await tryRedis(configured);
  const adminToken = await keepAdminToken(config.dataDir, config.auth.adminToken);
  const redis =
    configured === null
      ? await startOwnRedis(inputs, shutDown)
      : { target: configured, told: toldOf(config) };

  const url = await startControlPlane(
    {
      config,
      env,
      log,
      adminToken,
      redis: redis.target,
      database:
        config.database.url === undefined
          ? { pgliteDir: join(config.dataDir, 'catalogue') }
          : { databaseUrl: config.database.url },
    },
    shutDown,
  );

  const joining = {
    config,
    log,
    controlPlaneUrl: url,
    joinToken: joinTokenFrom(url, adminToken),
  };
  const { hostId, driver, lastingVms } = await startAgent({ ...joining, port: 0 }, shutDown);
  // Stopped before the agent, which knows it no more afterwards.
  shutDown.add('hosts', 'word about VMs', () => {
    tellOfVms(lastingVms(), print);
    return Promise.resolve();
  });
  const simulated = hosts === 0 ? [] : await startSimulatedHosts(hosts, joining, shutDown);
  const missing = await waitUntilUp(url, adminToken, [hostId, ...simulated]);
  if (missing > 0) log.warn('some hosts are not up yet', { missing });

  print(
    nextSteps({
      url,
      hosts: simulated.length + 1 - missing,
      tokenFile: adminTokenFile(config.dataDir),
      redis: redis.told,
      driver,
      catalogue:
        config.database.url === undefined
          ? `embedded, in ${join(config.dataDir, 'catalogue')} (one process; set DATABASE_URL for more)`
          : 'PostgreSQL at DATABASE_URL',
    }),
  );
}

/** A VM outlives its agent; on a machine that only tries things out that may surprise. */
function tellOfVms(count: number, print: UpInputs['print']): void {
  if (count === 0) return;
  const vms = count === 1 ? 'One VM goes' : `${count.toString()} VMs go`;
  print(`${vms} on running; the next start finds what runs, and "berth vm delete" ends it.`);
}

const toldOf = ({ redis }: Config): string =>
  redis.url === undefined ? 'Redis at the configured nodes' : 'Redis at REDIS_URL';

async function startOwnRedis({ config, log }: UpInputs, shutDown: ShutDown) {
  const redis = await ensureRedis({ redisUrl: undefined, dataDir: config.dataDir, log });
  shutDown.add('stores', 'redis', () => redis.stop());
  return {
    target: redis.url,
    told: `a private Redis, ${redis.origin}; its socket is ${redis.url}`,
  };
}

/** @returns how many of the hosts are not up when the time is over */
async function waitUntilUp(
  url: string,
  token: string,
  hostIds: readonly string[],
): Promise<number> {
  const until = systemClock.monotonic() + HOSTS_UP_MS;
  const waiting = new Set(hostIds);
  while (waiting.size > 0 && systemClock.monotonic() < until) {
    for (const id of waiting) {
      const answer = await fetch(`${url}/v1/hosts/${id}`, {
        headers: { authorization: `Bearer ${token}` },
      });
      const host = (await answer.json()) as { readonly state?: string };
      if (answer.ok && host.state === 'up') waiting.delete(id);
    }
    if (waiting.size > 0) await systemClock.sleep(ASK_EVERY_MS);
  }
  return waiting.size;
}
