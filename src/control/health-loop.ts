/**
 * Polls every agent each period, on one replica at a time: who answers is up, who misses is not;
 * capacities and VM states are taken over; and placement is shown every host as the catalogue has
 * it, in case it missed a change.
 */
import type { AgentStatus } from '../model/agent-report.js';
import { DomainError, hasCode } from '../model/errors.js';
import { factsOf, type Host } from '../model/host.js';
import { afterPoll, type Liveness } from '../model/host-liveness.js';
import type { AgentContact, HostPoll } from '../model/ports.js';
import type { LookVerdict } from '../model/stores/fleet-watch.js';
import { askAll, slotsFor, type InSlot } from './ask-hosts.js';
import { Batches } from './batches.js';
import type { Ports, Scheduled } from './ports.js';
import { reconcile, withNews } from './reconcile.js';
import type { HealthSettings } from './settings.js';
import { tellFenced } from './unfence.js';

const LEASE = 'health';
/** Hosts that placement is shown at once. */
const HOSTS_PAGE = 500;

/** Hosts that are saved at once. */
const BATCH = 200;

/** Of a period. */
const LEASE_SHARE = 0.9;

/** Of a period: over how much of it a look is spread that gives way to creates. */
const SPREAD_SHARE = 1 / 3;

/** Of a period: how long a replica that heard nobody lets the others go first. */
const YIELD_SHARE = 0.2;

type Target = AgentContact & Liveness & { readonly askedAt: Date; readonly isFenced: boolean };

interface Asked {
  readonly target: Target;
  /** null: it did not answer. */
  readonly status: AgentStatus | null;
}

/** Of one look: what was said to somebody of whom all is saved already is not kept until the end. */
interface Answer {
  readonly target: Target;
  readonly isHeard: boolean;
  /** What waits for the verdict. */
  readonly waiting: Asked | null;
}

interface Polled {
  readonly poll: HostPoll;
  readonly status: AgentStatus | null;
  /** null when the host spoke by itself. */
  readonly askedAt: Date | null;
}

/** What goes on beside the looks. */
interface Beside {
  /** Called when a report changed what is known of VMs. */
  readonly onVmsChanged: () => void;
  /** Whether VMs are being placed: a look gives way to them. */
  readonly isPlacing: () => boolean;
}

export class HealthLoop {
  readonly #ports: Ports;
  readonly #settings: HealthSettings;
  readonly #replicaId: string;
  readonly #onVmsChanged: () => void;
  readonly #isPlacing: () => boolean;
  #task: Scheduled | null = null;
  #running: Promise<void> | null = null;
  /** Fenced hosts that are being told what they lost. */
  readonly #told = new Set<string>();
  readonly #stopped = new AbortController();
  /**
   * Polls of one host and what they found: when a whole fleet joins at once, they must not all want
   * a connection to the database at the same time.
   */
  readonly #inSlot: InSlot;
  readonly #found = new Batches<Asked>(BATCH, (asked) => this.#saveFound(asked));
  /** Polls of one host that have not begun: whoever wants another one has this one. */
  readonly #queued = new Map<string, Promise<void>>();
  /**
   * The share of the fleet that its last look missed, where so much was missing that this replica
   * may be cut off itself: who hears more looks first. 0: nothing like that.
   */
  #deafness = 0;

  constructor(
    ports: Ports,
    settings: HealthSettings,
    replicaId: string,
    { onVmsChanged, isPlacing }: Beside,
  ) {
    this.#ports = ports;
    this.#settings = settings;
    this.#replicaId = replicaId;
    this.#onVmsChanged = onVmsChanged;
    this.#isPlacing = isPlacing;
    this.#inSlot = slotsFor(ports.clock, settings.concurrencyMax);
  }

  /** Polls now and then at each period. */
  start(): void {
    this.#task ??= this.#ports.schedule('health', this.#settings.periodS, () => this.#tick());
    void this.#tick();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#task?.stop();
    await this.#running;
    await this.#ports.catalogue.releaseLease(LEASE, this.#replicaId).catch((error: unknown) => {
      this.#ports.log.debug('the health lease runs out by itself', { error });
    });
  }

  /** One look at every host. */
  async runOnce(): Promise<void> {
    const targets = await this.#ports.catalogue.contacts();
    if (targets.length > 0) await this.#look(targets);
    await this.#syncPlacement();
  }

  /** One look at one host, when something suggests that it has changed. */
  pollHost(hostId: string): Promise<void> {
    const queued = this.#queued.get(hostId);
    if (queued !== undefined) return queued;
    const poll = this.#pollOne(hostId).finally(() => {
      if (this.#queued.get(hostId) === poll) this.#queued.delete(hostId);
    });
    this.#queued.set(hostId, poll);
    return poll;
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
      await this.pollHost(hostId);
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
        // It is so for a moment after each start, and is told where it is rebuilt.
        const isExpected = hasCode(error, 'ledger_rebuilding');
        const level = isExpected ? 'debug' : 'warn';
        this.#ports.log[level]('health loop comes back at its next period', { error });
      })
      .finally(() => {
        this.#running = null;
      });
    await this.#running;
  }

  async #runIfMine(): Promise<void> {
    const { catalogue, clock } = this.#ports;
    const periodMs = this.#settings.periodS * 1_000;
    if (this.#deafness > 0) {
      await clock.sleep(periodMs * YIELD_SHARE * this.#deafness, this.#stopped.signal);
    }
    // Over before the next tick: when the holder has died, the next one is somebody else's.
    const ttlMs = periodMs * LEASE_SHARE;
    if (!(await catalogue.acquireLease(LEASE, this.#replicaId, ttlMs))) return;
    try {
      await this.runOnce();
    } finally {
      if (this.#deafness > 0) await catalogue.releaseLease(LEASE, this.#replicaId);
    }
  }

  /**
   * A look at all hosts is judged as a whole before anything of it counts. What the verdict has no
   * say in is saved as it comes: hosts that hang make nobody's answer late.
   */
  async #look(targets: readonly Target[]): Promise<void> {
    const { clock } = this.#ports;
    const { breaker, concurrencyMax: slots, periodS } = this.#settings;
    const reports = new Batches<Polled>(BATCH, (polled) => this.#takeOverVms(polled));
    const answers = new Batches<Asked>(BATCH, async (some) => {
      const { polled, pushed } = await this.#saveStates(some, false);
      reports.add(...polled);
      if (pushed.status === 'rejected') throw pushed.reason;
    });
    const asked = await askAll(
      clock,
      targets,
      {
        slots,
        withinMs: breaker.lookMsMax / 2,
        spreadMs: Math.min(breaker.lookMsMax / 3, periodS * 1_000 * SPREAD_SHARE),
        givesWay: this.#isPlacing,
        alarm: this.#stopped.signal,
      },
      async (target) => {
        const one = await this.#ask(target);
        const isSettled = isAsBefore(one);
        if (isSettled) answers.add(one);
        return { target, isHeard: one.status !== null, waiting: isSettled ? null : one };
      },
    );
    let isStale: boolean;
    try {
      isStale = (await this.#judge(asked)) === 'stale';
    } finally {
      await answers.end();
      await reports.end();
    }
    if (!isStale) await this.#cordonFlapping();
  }

  async #judge(asked: readonly Answer[]): Promise<LookVerdict['kind']> {
    const { catalogue } = this.#ports;
    const askedAt = new Date(Math.min(...asked.map(({ target }) => target.askedAt.getTime())));
    const missed = asked.flatMap(({ target, isHeard }) => (isHeard ? [] : [target.hostId]));
    const verdict = await catalogue.judgeLook({ askedAt, missed }, this.#settings.breaker);
    this.#tellOf(verdict);
    const counted = asked.filter(
      ({ target }) => target.state === 'up' || target.state === 'suspect',
    );
    const unheard = counted.filter(({ isHeard }) => !isHeard).length;
    const isDeaf = unheard > 0 && unheard === counted.length;
    this.#deafness = isDeaf || verdict.watch.isOpen ? missed.length / asked.length : 0;
    if (verdict.kind === 'stale') return verdict.kind;
    const rest = asked.flatMap(({ waiting }) => waiting ?? []);
    const heard = verdict.kind === 'late' ? rest.filter(({ status }) => status !== null) : rest;
    await this.#save(heard, verdict.held);
    return verdict.kind;
  }

  async #cordonFlapping(): Promise<void> {
    const { catalogue, log } = this.#ports;
    const { cordoned, heldBack } = await catalogue.cordonFlapping(this.#settings.flapping);
    for (const { id, modeReason } of cordoned)
      log.warn('host cordoned', { hostId: id, modeReason });
    if (heldBack > 0) log.warn('hosts flap and are not cordoned: too many are', { heldBack });
    await this.#pushHosts(cordoned);
  }

  #tellOf({ kind, change, watch }: LookVerdict): void {
    const { log, telemetry } = this.#ports;
    telemetry.count('berth_looks_total', { outcome: kind });
    if (kind === 'stale')
      log.warn('a look at the hosts was overtaken; who missed it is asked again');
    if (kind === 'late') log.warn('a look at the hosts was held up; who missed it is asked again');
    if (change === null) return;
    telemetry.count('berth_breaker_changes_total', { to: change === 'opened' ? 'open' : 'closed' });
    const { reason, hosts, missing } = watch;
    if (change === 'closed') log.info('the breaker is closed', { reason, hosts, missing });
    else log.error('the breaker is open: see berth breaker show', { reason, hosts, missing });
  }

  /** That one host misses one poll between two looks means nothing, unless it is new. */
  async #pollOne(hostId: string): Promise<void> {
    const asked = await this.#inSlot(async () => {
      this.#queued.delete(hostId);
      const [target] = await this.#ports.catalogue.contacts(hostId);
      return target === undefined ? null : this.#ask(target);
    });
    if (asked === null) return;
    if (asked.status !== null || asked.target.state === 'joining') await this.#found.hand(asked);
  }

  /** Two polls of one host are saved one after the other. */
  async #saveFound(asked: readonly Asked[]): Promise<void> {
    const firsts = new Map<string, Asked>();
    for (const one of asked) {
      if (!firsts.has(one.target.hostId)) firsts.set(one.target.hostId, one);
    }
    await this.#save([...firsts.values()], false);
    const rest = asked.filter((one) => firsts.get(one.target.hostId) !== one);
    if (rest.length > 0) await this.#saveFound(rest);
  }

  async #save(asked: readonly Asked[], held: boolean): Promise<void> {
    if (asked.length === 0) return;
    const { polled, pushed } = await this.#saveStates(asked, held);
    // Also if placement could not be told.
    await this.#takeOverVms(polled);
    for (const { target, status } of asked) {
      if (status !== null && target.isFenced) this.#tellFenced(target);
    }
    if (pushed.status === 'rejected') throw pushed.reason;
  }

  async #saveStates(asked: readonly Asked[], held: boolean) {
    const { catalogue, log } = this.#ports;
    const polled = asked.map((one) => polledOf(one, held));
    const changed = await catalogue.saveHostPolls(polled.map(({ poll }) => poll));
    const before = new Map(asked.map(({ target }) => [target.hostId, target.state]));
    for (const { id: hostId, state } of changed) {
      const from = before.get(hostId);
      if (state !== from) log.info('host state', { hostId, from, to: state });
    }
    // Placement at once, so that who sees a host up can place on it; if Redis is away, it hears of
    // it at the next run.
    const [pushed] = await Promise.allSettled([this.#pushHosts(changed)]);
    return { polled, pushed };
  }

  /** Beside the polls: its agent may take its time. When it is told, its next answer makes it up. */
  #tellFenced(target: Target): void {
    const { hostId } = target;
    if (this.#told.has(hostId)) return;
    this.#told.add(hostId);
    tellFenced(this.#ports, target)
      .finally(() => this.#told.delete(hostId))
      .then(async (isLifted) => {
        if (isLifted) await this.pollHost(hostId);
      })
      .catch((error: unknown) => {
        this.#ports.log.debug('a fenced host is told again at its next answer', { hostId, error });
      });
  }

  async #ask(target: Target): Promise<Asked> {
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
    telemetry.count('berth_agent_polls_total', {
      outcome: status === null ? 'missed' : 'answered',
    });
    return { target, status };
  }

  async #takeOverVms(polled: readonly Polled[]): Promise<void> {
    let changed = 0;
    const { onMissing } = this.#settings;
    const news = await withNews(
      this.#ports,
      polled.flatMap(({ status, askedAt }) => (status === null ? [] : [{ ...status, askedAt }])),
    );
    for (const { poll, status, askedAt } of polled) {
      try {
        if (status !== null) {
          if (!news.has(poll.hostId)) continue;
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
    const shown = new Map<string, number>();
    for (const { id, revision } of (await ledger.view()).hosts()) shown.set(id, revision);
    let changed: readonly Host[];
    do {
      changed = await catalogue.changedHosts(shown, HOSTS_PAGE);
      await this.#pushHosts(changed);
      for (const { id, revision } of changed) shown.set(id, revision);
    } while (changed.length === HOSTS_PAGE);
  }

  async #pushHosts(hosts: readonly Host[]): Promise<void> {
    if (hosts.length > 0) await this.#ports.ledger.pushHosts(hosts.map(factsOf));
  }
}

/**
 * It was up and is: nobody's verdict changes that, and it changes no verdict. A host that comes back or
 * joins waits for the verdict: it would count in the census, and among the changes of one that flaps.
 */
const isAsBefore = ({ target, status }: Asked): boolean =>
  status !== null && target.state === 'up' && !target.isFenced;

function polledOf({ target, status }: Asked, held: boolean): Polled {
  const { hostId, address, askedAt } = target;
  const after = afterPoll(target, status === null ? 'missed' : 'answered', held);
  return { status, askedAt, poll: { hostId, address, ...after, askedAt, status } };
}
