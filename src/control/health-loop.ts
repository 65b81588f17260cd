/**
 * Polls every agent each period, on one replica at a time: who answers is up, who misses is not;
 * capacities and VM states are taken over; and placement is shown every host as the catalogue has
 * it, in case it missed a change.
 */
import cron, { type ScheduledTask } from 'node-cron';
import pLimit from 'p-limit';
import type { AgentStatus } from '../model/agent-report.js';
import { factsOf, type Host } from '../model/host.js';
import { afterPoll, type Liveness } from '../model/host-liveness.js';
import { inventoryOf, type CapacityPolicy } from '../model/inventory.js';
import type { AgentContact, HostPoll, Log } from '../model/ports.js';
import type { Ports } from './ports.js';
import type { HealthSettings } from './settings.js';

const LEASE = 'health';
const HOSTS_PAGE = 100;

/** Of a period. */
const LEASE_SHARE = 0.9;

type Target = AgentContact & Liveness;

interface Polled {
  readonly poll: HostPoll;
  readonly status: AgentStatus | null;
}

export class HealthLoop {
  readonly #ports: Ports;
  readonly #settings: HealthSettings;
  readonly #capacity: CapacityPolicy;
  readonly #replicaId: string;
  readonly #onVmsChanged: () => void;
  #task: ScheduledTask | null = null;
  #running: Promise<void> | null = null;

  /** @param onVmsChanged called when a report changed what is known of VMs */
  constructor(
    ports: Ports,
    settings: HealthSettings,
    capacity: CapacityPolicy,
    replicaId: string,
    onVmsChanged: () => void,
  ) {
    this.#ports = ports;
    this.#settings = settings;
    this.#capacity = capacity;
    this.#replicaId = replicaId;
    this.#onVmsChanged = onVmsChanged;
  }

  /** Polls now and then at each period. */
  start(): void {
    this.#task ??= cron.schedule(cronOf(this.#settings.periodS), () => this.#tick(), {
      name: 'health',
      noOverlap: true,
      // A tick that comes late in a busy process is made up for by the next one.
      suppressMissedWarning: true,
      logger: cronLogger(this.#ports.log),
    });
    void this.#tick();
  }

  async stop(): Promise<void> {
    await this.#task?.stop();
    await this.#running;
    await this.#ports.catalogue.releaseLease(LEASE, this.#replicaId).catch((error: unknown) => {
      this.#ports.log.debug('the health lease runs out by itself', { error });
    });
  }

  /** One look at every host. */
  async runOnce(): Promise<void> {
    const targets = await this.#ports.catalogue.contacts();
    await this.#pollAll(targets);
    await this.#syncPlacement();
  }

  /** One look at one host, when something suggests that it has changed. */
  async pollHost(hostId: string): Promise<void> {
    await this.#pollAll(await this.#ports.catalogue.contacts(hostId));
  }

  async #tick(): Promise<void> {
    if (this.#running !== null) return;
    this.#running = this.#runIfMine()
      .catch((error: unknown) => {
        this.#ports.log.warn('health loop comes back at its next period', { error });
      })
      .finally(() => {
        this.#running = null;
      });
    await this.#running;
  }

  async #runIfMine(): Promise<void> {
    // Over before the next tick: when the holder has died, the next one is somebody else's.
    const ttlMs = this.#settings.periodS * LEASE_SHARE * 1_000;
    if (await this.#ports.catalogue.acquireLease(LEASE, this.#replicaId, ttlMs)) {
      await this.runOnce();
    }
  }

  async #pollAll(targets: readonly Target[]): Promise<void> {
    if (targets.length === 0) return;
    const limit = pLimit(this.#settings.concurrencyMax);
    const polled = await Promise.all(targets.map((target) => limit(() => this.#poll(target))));
    const changed = await this.#ports.catalogue.saveHostPolls(polled.map(({ poll }) => poll));
    // Placement at once, so that who sees a host up can place on it; if Redis is away, it hears of
    // it at the next run, and what the hosts said of their VMs is taken over all the same.
    const pushed = await Promise.allSettled([this.#pushHosts(changed)]);
    await this.#takeOverVms(polled);
    for (const result of pushed) if (result.status === 'rejected') throw result.reason;
  }

  async #poll(target: Target): Promise<Polled> {
    const { agents, log, telemetry } = this.#ports;
    const { hostId } = target;
    let status: AgentStatus | null = null;
    try {
      status = await agents.status(target);
    } catch (error) {
      // Once for each time that it goes away; the state changes say the rest.
      const isNews = target.missedPolls === 0;
      log[isNews ? 'warn' : 'debug']('host missed a poll', { hostId, error });
    }
    const outcome = status === null ? 'missed' : 'answered';
    telemetry.count('berth_agent_polls_total', { outcome });
    const after = afterPoll(target, outcome);
    if (after.state !== target.state) {
      log.info('host state', { hostId, from: target.state, to: after.state });
    }
    return {
      status,
      poll: {
        hostId,
        address: target.address,
        ...after,
        status:
          status === null
            ? null
            : {
                inventory: inventoryOf(status.totals, this.#capacity),
                version: status.version,
                bootId: status.bootId,
              },
      },
    };
  }

  async #takeOverVms(polled: readonly Polled[]): Promise<void> {
    let changed = 0;
    for (const { poll, status } of polled) {
      try {
        if (status !== null) {
          changed += await this.#ports.catalogue.reportVms(poll.hostId, status.vms);
        } else if (poll.state === 'down') {
          changed += await this.#ports.catalogue.loseVms(poll.hostId);
        }
      } catch (error) {
        // One host's report must not keep the others from being heard.
        this.#ports.log.error('report of a host was not taken over', {
          hostId: poll.hostId,
          error,
        });
      }
    }
    if (changed > 0) this.#onVmsChanged();
  }

  /** Pushes each host whose revision placement does not have, whatever made it miss the change. */
  async #syncPlacement(): Promise<void> {
    const { catalogue, ledger } = this.#ports;
    const fleet = await ledger.view();
    const shown = new Map([...fleet.hosts()].map(({ id, revision }) => [id, revision]));
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof catalogue.hosts>> = await catalogue.hosts({
        limit: HOSTS_PAGE,
        cursor,
      });
      await this.#pushHosts(page.items.filter(({ id, revision }) => shown.get(id) !== revision));
      cursor = page.nextCursor;
    } while (cursor !== null);
  }

  async #pushHosts(hosts: readonly Host[]): Promise<void> {
    if (hosts.length > 0) await this.#ports.ledger.pushHosts(hosts.map(factsOf));
  }
}

/** What node-cron has to say goes where everything else does, and not to the console. */
const cronLogger = (log: Log) => ({
  debug: () => undefined,
  info: (message: string) => {
    log.debug(message, { part: 'cron' });
  },
  warn: (message: string) => {
    log.debug(message, { part: 'cron' });
  },
  error: (message: string | Error) => {
    log.error(String(message), { part: 'cron' });
  },
});

/**
 * The cron expression of a period that divides a minute, or an hour in whole minutes; the
 * configuration allows no others.
 */
export function cronOf(periodS: number): string {
  if (periodS < 60) return `*/${periodS.toString()} * * * * *`;
  if (periodS < 3_600) return `0 */${(periodS / 60).toString()} * * * *`;
  return '0 0 * * * *';
}
