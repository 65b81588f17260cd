/**
 * Rebuild: the ledger made anew from the catalogue, beside live traffic.
 *
 *   1. The catalogue begins a new epoch: bookings made under the old one can no longer be recorded,
 *      and no ledger is believed.
 *   2. One snapshot of hosts and allocations is read.
 *   3. The ledger is built beside the old one and swapped in by one script.
 *   4. What was released or changed between 2 and 3 is told to the new ledger. Whoever does it
 *      later tells the new ledger himself; doing it twice changes nothing.
 *   5. The catalogue agrees on the new ledger's incarnation. Whoever dies before that leaves a
 *      ledger that is not believed, and the next one begins again.
 */
import { DomainError } from '../model/errors.js';
import { factsOf, type Host } from '../model/host.js';
import type { CatalogueSnapshot, LedgerBooking, Log } from '../model/ports.js';
import { subtractResources, withoutZeros, type Resources } from '../model/resources.js';
import type { RebuildReport } from './control.js';
import type { Ports } from './ports.js';

const LEASE = 'rebuild';
/**
 * Only spares work: two rebuilds at once are safe, the later epoch wins. Renewed while at work; short,
 * since nothing is placed until what a replica left that died at it has run out.
 */
const LEASE_MS = 4_000;
const LEASE_RENEWAL_MS = 1_000;
const LEASE_WAIT_MS = 6_000;
/** On average, at random, so that replicas that wait do not ask in step. */
const LEASE_PAUSE_MS = 100;

/** Bookings that one question to the catalogue may name. */
const CHUNK = 5_000;

/**
 * @param reasonFor asked once it is this replica's turn: another may have done it meanwhile. Its
 *   answer is for log and metrics; null means that nothing is to be done any more
 * @returns null when nothing was to be done
 * @throws DomainError `ledger_rebuilding` when another replica is at it, `ledger_unavailable`,
 *   `catalogue_unavailable`
 */
export async function rebuild(
  ports: Ports,
  reasonFor: () => Promise<string | null>,
  log: Log,
): Promise<RebuildReport | null> {
  const holder = ports.newId();
  await takeLease(ports, holder);
  const done = new AbortController();
  const renewal = renewLease(ports, holder, done.signal);
  try {
    const reason = await reasonFor();
    return reason === null ? null : await rebuildNow(ports, reason, log);
  } finally {
    done.abort();
    await renewal;
    await ports.catalogue.releaseLease(LEASE, holder).catch((error: unknown) => {
      log.warn('the rebuild lease runs out by itself', { error });
    });
  }
}

async function rebuildNow(ports: Ports, reason: string, log: Log): Promise<RebuildReport> {
  const { clock, telemetry } = ports;
  const started = clock.monotonic();
  try {
    log.info('rebuild begins', { reason });
    const before = await ports.ledger.totals();
    const snapshot = await replaceLedger(ports);
    const after = await ports.ledger.totals();
    const report = {
      dryRun: false,
      durationMs: Math.round(clock.monotonic() - started),
      vms: vmsIn(snapshot),
      hosts: snapshot.hosts.map((host) => ({
        id: host.id,
        name: host.name,
        drift: driftOf(host, before),
        driftAfter: driftOf(host, after),
      })),
    };
    telemetry.count('berth_rebuilds_total', { reason, outcome: 'done' });
    log.info('rebuild done', { reason, vms: report.vms, durationMs: report.durationMs });
    return report;
  } catch (error) {
    telemetry.count('berth_rebuilds_total', { reason, outcome: 'failed' });
    throw error;
  }
}

/** How ledger and catalogue differ, host by host. What is in flight shows as drift for a moment. */
export async function compare(ports: Ports): Promise<RebuildReport> {
  const started = ports.clock.monotonic();
  const totals = await ports.ledger.totals();
  const snapshot = await ports.catalogue.snapshot();
  return {
    dryRun: true,
    durationMs: Math.round(ports.clock.monotonic() - started),
    vms: vmsIn(snapshot),
    hosts: snapshot.hosts.map((host) => ({
      id: host.id,
      name: host.name,
      drift: driftOf(host, totals),
      driftAfter: null,
    })),
  };
}

/** @returns the state from which the new ledger was made */
async function replaceLedger(ports: Ports): Promise<CatalogueSnapshot> {
  const { catalogue, ledger } = ports;
  // A catalogue that was restored from a backup is behind the ledger; its epochs go on after both.
  const epoch = await catalogue.nextEpoch((await ledger.state()).epoch);
  const { highWater } = await catalogue.epoch();
  const snapshot = await catalogue.snapshot();
  const incarnation = await ledger.replace(epoch, highWater, snapshot);
  if (incarnation === null) throw overtaken();
  await tellWhatChanged(ports, snapshot);
  if (!(await catalogue.agree(epoch, incarnation))) throw overtaken();
  return snapshot;
}

const overtaken = (): DomainError =>
  new DomainError('ledger_rebuilding', 'Another replica has begun a later rebuild.', {
    retryAfterS: 1,
  });

async function tellWhatChanged(ports: Ports, before: CatalogueSnapshot): Promise<void> {
  const { catalogue, ledger } = ports;
  for (let from = 0; from < before.allocations.length; from += CHUNK) {
    const chunk = before.allocations.slice(from, from + CHUNK);
    const alive = await catalogue.recordedBookings(chunk.map(({ bookingId }) => bookingId));
    const vanished: LedgerBooking[] = chunk.filter(({ bookingId }) => !alive.has(bookingId));
    if (vanished.length > 0) await ledger.release(vanished);
  }
  const revisions = new Map(before.hosts.map(({ id, revision }) => [id, revision]));
  const { hosts } = await catalogue.snapshot();
  const changed = hosts.filter(({ id, revision }) => revisions.get(id) !== revision);
  const present = new Set(hosts.map(({ id }) => id));
  const retired = await hostsNamed(
    ports,
    before.hosts.filter(({ id }) => !present.has(id)),
  );
  const news = [...changed, ...retired];
  if (news.length > 0) await ledger.pushHosts(news.map(factsOf));
}

/** What became of hosts that no snapshot shows any more. */
async function hostsNamed({ catalogue }: Ports, hosts: readonly Host[]): Promise<readonly Host[]> {
  const found = await Promise.all(hosts.map(({ id }) => catalogue.host(id)));
  return found.filter((host) => host !== null);
}

async function renewLease(ports: Ports, holder: string, done: AbortSignal): Promise<void> {
  for (;;) {
    await ports.clock.sleep(LEASE_RENEWAL_MS, done);
    if (done.aborted) return;
    await ports.catalogue.acquireLease(LEASE, holder, LEASE_MS).catch((error: unknown) => {
      ports.log.debug('the rebuild lease was not renewed', { error });
    });
  }
}

async function takeLease(ports: Ports, holder: string): Promise<void> {
  const until = ports.clock.monotonic() + LEASE_WAIT_MS;
  while (!(await ports.catalogue.acquireLease(LEASE, holder, LEASE_MS))) {
    if (ports.clock.monotonic() > until) {
      throw new DomainError('ledger_rebuilding', 'Another replica is rebuilding the ledger.', {
        retryAfterS: 2,
      });
    }
    await ports.clock.sleep(LEASE_PAUSE_MS * 2 * ports.random());
  }
}

/** Reservations hold room as well, and have no assignment. */
const vmsIn = ({ allocations }: CatalogueSnapshot): number =>
  allocations.filter(({ assignment }) => assignment > 0).length;

const driftOf = (host: Host, totals: ReadonlyMap<string, Resources>): Resources =>
  withoutZeros(subtractResources(totals.get(host.id) ?? {}, host.allocated));
