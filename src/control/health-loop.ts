/**
 * Polls every agent each period, on one replica at a time: who answers is up, who misses is not;
 * capacities and VM states are taken over; and placement is shown every host as the catalogue has
 * it, in case it missed a change.
 */
import pLimit from 'p-limit';
import type { AgentStatus } from '../model/agent-report.js';
import { DomainError } from '../model/errors.js';
import { factsOf, type Host } from '../model/host.js';
import { afterPoll, type Liveness } from '../model/host-liveness.js';
import type { AgentContact, HostPoll } from '../model/ports.js';
import type { Ports, Scheduled } from './ports.js';
import { reconcile } from './reconcile.js';
import type { HealthSettings } from './settings.js';

const LEASE = 'health';
const HOSTS_PAGE = 100;

/** Of a period. */
const LEASE_SHARE = 0.9;

type Target = AgentContact & Liveness & { readonly askedAt: Date };

interface Polled {
  readonly poll: HostPoll;
  readonly status: AgentStatus | null;
  /** null when the host spoke by itself. */
  readonly askedAt: Date | null;
}

export class HealthLoop {
  readonly #ports: Ports;
  readonly #settings: HealthSettings;
  readonly #replicaId: string;
  readonly #onVmsChanged: () => void;
  #task: Scheduled | null = null;
  #running: Promise<void> | null = null;

  /** @param onVmsChanged called when a report changed what is known of VMs */
  constructor(ports: Ports, settings: HealthSettings, replicaId: string, onVmsChanged: () => void) {
    this.#ports = ports;
    this.#settings = settings;
    this.#replicaId = replicaId;
    this.#onVmsChanged = onVmsChanged;
  }

  /** Polls now and then at each period. */
  start(): void {
    this.#task ??= this.#ports.schedule('health', this.#settings.periodS, () => this.#tick());
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

  /**
   * What a host says without being asked. One that does not count as up is asked now instead: that
   * it can speak does not show that it can be spoken to.
   * @throws DomainError `not_found`
   */
  async acceptStatus(status: AgentStatus): Promise<void> {
    const { hostId } = status;
    const [target] = await this.#ports.catalogue.contacts(hostId);
    if (target === undefined) throw new DomainError('not_found', `There is no host ${hostId}.`);
    if (target.state !== 'up') {
      await this.#pollAll([target]);
      return;
    }
    const changed = await this.#ports.catalogue.saveHostReport(hostId, status);
    const pushed = await Promise.allSettled([this.#pushHosts(changed)]);
    const { address, state, missedPolls } = target;
    const poll = { hostId, address, state, missedPolls, status };
    await this.#takeOverVms([{ status, askedAt: null, poll }]);
    for (const result of pushed) if (result.status === 'rejected') throw result.reason;
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
      askedAt: target.askedAt,
      poll: {
        hostId,
        address: target.address,
        ...after,
        status,
      },
    };
  }

  async #takeOverVms(polled: readonly Polled[]): Promise<void> {
    let changed = 0;
    const { onMissing } = this.#settings;
    for (const { poll, status, askedAt } of polled) {
      try {
        if (status !== null) {
          changed += await reconcile(this.#ports, poll.hostId, status, { onMissing, askedAt });
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
    const unlisted = new Set(shown.keys());
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof catalogue.hosts>> = await catalogue.hosts({
        limit: HOSTS_PAGE,
        cursor,
      });
      await this.#pushHosts(page.items.filter(({ id, revision }) => shown.get(id) !== revision));
      for (const { id } of page.items) unlisted.delete(id);
      cursor = page.nextCursor;
    } while (cursor !== null);
    // Lists leave out retired hosts; placement has to hear that they are.
    const retired = await Promise.all([...unlisted].map((id) => catalogue.host(id)));
    await this.#pushHosts(retired.filter((host) => host !== null));
  }

  async #pushHosts(hosts: readonly Host[]): Promise<void> {
    if (hosts.length > 0) await this.#ports.ledger.pushHosts(hosts.map(factsOf));
  }
}
