/** What an operator says to take a host out: drain it, think better of it, retire it. */
import { DomainError } from '../model/errors.js';
import type { Drain, DrainMove } from '../model/drain.js';
import { factsOf, type Host } from '../model/host.js';
import type { LedgerBooking, Log } from '../model/ports.js';
import { planDrain } from '../placement/plan-drain.js';
import type { Ranking } from '../placement/strategy.js';
import type { Caller } from './caller.js';
import { HOST_SILENT } from './drain-moves.js';
import type { Ports } from './ports.js';
import { giveBack } from './reservations.js';

export interface DrainInput {
  /** Only tell what would be done. */
  readonly dryRun: boolean;
  readonly reason: string | null;
  readonly owner: string | null;
}

export interface DrainVerbs {
  /**
   * Closes a host and moves its VMs away, one after another; or only answers the plan. A host that
   * is being drained already goes on by its plan.
   * @throws DomainError `not_found`, `state_conflict` when it is retired
   */
  drainHost(idOrName: string, input: DrainInput, by: Caller): Promise<Drain>;
  /**
   * Ends a drain; the host is what it was before. VMs that it has let go already go on.
   * @throws DomainError `not_found` when it was never drained
   */
  cancelDrain(idOrName: string, by: Caller): Promise<Drain>;
  /**
   * Takes a host out for good. With a reason also one that has VMs: they have failed then.
   * @throws DomainError `not_found`, `host_not_empty`
   */
  retireHost(
    idOrName: string,
    force: { readonly reason: string } | null,
    by: Caller,
  ): Promise<Host>;
}

/** What the verbs need besides the ports. */
export interface DrainSurroundings {
  readonly ports: Ports;
  readonly ranking: Ranking;
  /** Called when drains or VMs have work to do. */
  readonly onWork: () => void;
}

export const drainVerbs = (surroundings: DrainSurroundings): DrainVerbs => ({
  drainHost: (idOrName, input, by) => drainHost(surroundings, idOrName, input, by),
  cancelDrain: (idOrName, by) => cancelDrain(surroundings, idOrName, by),
  retireHost: (idOrName, force, by) => retireHost(surroundings, idOrName, force, by),
});

async function drainHost(
  { ports, ranking, onWork }: DrainSurroundings,
  idOrName: string,
  { dryRun, reason, owner }: DrainInput,
  { actor, log }: Caller,
): Promise<Drain> {
  const host = await hostNamed(ports, idOrName);
  if (host.mode === 'retired') {
    throw new DomainError('state_conflict', `Host ${host.name} is retired.`);
  }
  const moves = await planFor(ports, ranking, host);
  if (dryRun) {
    const { id, name } = host;
    const startedAt = new Date(ports.clock.now());
    return { host: { id, name }, state: 'planned', reason, owner, startedAt, endedAt: null, moves };
  }
  const drain = await ports.catalogue.startDrain(host.id, { reason, owner, moves }, actor);
  log.info('host drains', { hostId: host.id, moves: drain.moves.length, reason, owner });
  await tellPlacement(ports, host.id, log);
  onWork();
  return drain;
}

async function planFor(
  { catalogue, ledger }: Ports,
  ranking: Ranking,
  host: Host,
): Promise<readonly DrainMove[]> {
  const vms = (await catalogue.vmsOn(host.id)).filter(
    ({ desiredState }) => desiredState !== 'deleted',
  );
  const { id, name } = host;
  const plan = planDrain(await ledger.view(), { id, name }, vms, ranking);
  if (host.state !== 'down') return plan;
  return plan.map((move) => ({ ...move, state: 'blocked', detail: HOST_SILENT }));
}

async function cancelDrain(
  { ports, onWork }: DrainSurroundings,
  idOrName: string,
  { actor, log }: Caller,
): Promise<Drain> {
  const host = await hostNamed(ports, idOrName);
  const cancelled = await ports.catalogue.cancelDrain(host.id, actor);
  if (cancelled === null) throw neverDrained(host.name);
  log.info('drain cancelled', { hostId: host.id });
  for (const id of cancelled.reservations) {
    await giveBack(ports, id, null).catch((error: unknown) => {
      log.debug('room for a move is left to the upkeep', { reservationId: id, error });
    });
  }
  await tellPlacement(ports, host.id, log);
  onWork();
  return cancelled.drain;
}

async function retireHost(
  { ports, onWork }: DrainSurroundings,
  idOrName: string,
  force: { readonly reason: string } | null,
  { actor, log }: Caller,
): Promise<Host> {
  const retired = await ports.catalogue.retireHost(idOrName, force, actor);
  if (retired === null) throw noSuchHost(idOrName);
  const { host, released } = retired;
  log.info('host retired', { hostId: host.id, released: released.length, reason: force?.reason });
  await releaseInLedger(ports, released, log);
  await tellPlacement(ports, host.id, log);
  onWork();
  return host;
}

/** Tells the ledger what the catalogue has erased. */
export async function releaseInLedger(
  { catalogue, ledger }: Ports,
  bookings: readonly LedgerBooking[],
  log: Log,
): Promise<void> {
  if (bookings.length === 0) return;
  try {
    await ledger.release(bookings);
    await catalogue.settleReleases(bookings.map(({ bookingId }) => bookingId));
  } catch (error) {
    // The catalogue keeps them as pending; the lease loop goes on with them.
    log.debug('releases in the ledger are left to the lease loop', { error });
  }
}

/** Shows placement the host as it is now. */
async function tellPlacement({ catalogue, ledger }: Ports, id: string, log: Log): Promise<void> {
  try {
    const host = await catalogue.host(id);
    if (host !== null) await ledger.pushHosts([factsOf(host)]);
  } catch (error) {
    // The catalogue already refuses (or allows) bookings there; the health loop pushes again.
    log.warn('placement hears of the host later', { hostId: id, error });
  }
}

async function hostNamed({ catalogue }: Ports, idOrName: string): Promise<Host> {
  const host = await catalogue.host(idOrName);
  if (host === null) throw noSuchHost(idOrName);
  return host;
}

const noSuchHost = (idOrName: string): DomainError =>
  new DomainError('not_found', `There is no host ${idOrName}.`);

const neverDrained = (name: string): DomainError =>
  new DomainError('not_found', `Host ${name} has not been drained.`);
