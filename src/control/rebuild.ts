/**
 * Rebuild: the ledger made anew from the catalogue, beside live traffic.
 *
 *   1. A new ledger is staged beside the present one: all that the catalogue has, and then what has
 *      changed meanwhile. Creates go on.
 *   2. The catalogue begins a new epoch: bookings made under the old one can no longer be recorded,
 *      and no ledger is believed. From here on creates wait.
 *   3. What was recorded since the last look at 1 is staged, and the new ledger is swapped in by one
 *      script, which takes the same time for any number of VMs. From here on creates go on.
 *   4. What was released or changed between 3's look and the swap is told to the new ledger. Whoever
 *      does it later tells the new ledger himself; doing it twice changes nothing.
 *   5. The catalogue agrees on the new ledger's incarnation. Whoever dies before that leaves a
 *      ledger that is not believed, and the next one begins again.
 *
 * The old ledger is cleared away later (rebuild-upkeep.ts).
 *
 * Where the present ledger is not to be believed, 2 comes first: it must grant nothing more.
 */
import { DomainError } from '../model/errors.js';
import type { Host } from '../model/host.js';
import type { Log } from '../model/ports.js';
import { subtractResources, withoutZeros, type Resources } from '../model/resources.js';
import type { RebuildReport } from './control.js';
import type { Ports } from './ports.js';
import { Staging } from './staging.js';

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

/** Hosts of one page of a report. */
const PAGE = 500;

export interface RebuildCause {
  /** For log and metrics. */
  readonly reason: string;
  /** Whether the ledger in place may go on granting until the new one is there. */
  readonly isBelieved: boolean;
}

/**
 * @param causeOf asked once it is this replica's turn: another may have done it meanwhile; null means
 *   that nothing is to be done any more
 * @returns null when nothing was to be done
 * @throws DomainError `ledger_rebuilding` when another replica is at it, `ledger_unavailable`,
 *   `catalogue_unavailable`
 */
export async function rebuild(
  ports: Ports,
  causeOf: () => Promise<RebuildCause | null>,
  log: Log,
): Promise<RebuildReport | null> {
  const holder = ports.newId();
  await takeLease(ports, holder);
  const done = new AbortController();
  const renewal = renewLease(ports, holder, done.signal);
  try {
    const cause = await causeOf();
    return cause === null ? null : await rebuildNow(ports, cause, log);
  } finally {
    done.abort();
    await renewal;
    await ports.catalogue.releaseLease(LEASE, holder).catch((error: unknown) => {
      log.warn('the rebuild lease runs out by itself', { error });
    });
  }
}

async function rebuildNow(
  ports: Ports,
  { reason, isBelieved }: RebuildCause,
  log: Log,
): Promise<RebuildReport> {
  const { clock, telemetry } = ports;
  const started = clock.monotonic();
  try {
    log.info('rebuild begins', { reason });
    const before = new Map((await drifts(ports)).map(({ id, drift }) => [id, drift]));
    const { vms, blockedMs } = await replaceLedger(ports, isBelieved);
    const after = await drifts(ports);
    const report = {
      dryRun: false,
      durationMs: Math.round(clock.monotonic() - started),
      vms,
      hosts: after.map(({ id, name, drift }) => ({
        id,
        name,
        drift: before.get(id) ?? {},
        driftAfter: drift,
      })),
    };
    telemetry.count('berth_rebuilds_total', { reason, outcome: 'done' });
    log.info('rebuild done', { reason, vms, durationMs: report.durationMs, blockedMs });
    return report;
  } catch (error) {
    telemetry.count('berth_rebuilds_total', { reason, outcome: 'failed' });
    throw error;
  }
}

/** How ledger and catalogue differ, host by host. What is in flight shows as drift for a moment. */
export async function compare(ports: Ports): Promise<RebuildReport> {
  const started = ports.clock.monotonic();
  const found = await drifts(ports);
  return {
    dryRun: true,
    durationMs: Math.round(ports.clock.monotonic() - started),
    vms: found.reduce((sum, { vms }) => sum + vms, 0),
    hosts: found.map(({ id, name, drift }) => ({ id, name, drift, driftAfter: null })),
  };
}

type HostDrift = Pick<Host, 'id' | 'name' | 'vms'> & { readonly drift: Resources };

async function drifts({ catalogue, ledger }: Ports): Promise<readonly HostDrift[]> {
  const totals = await ledger.totals();
  const found: HostDrift[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof catalogue.hosts>> = await catalogue.hosts({
      limit: PAGE,
      cursor,
    });
    for (const { id, name, vms, allocated } of page.items) {
      found.push({
        id,
        name,
        vms,
        drift: withoutZeros(subtractResources(totals.get(id) ?? {}, allocated)),
      });
    }
    cursor = page.nextCursor;
  } while (cursor !== null);
  return found;
}

async function replaceLedger(
  ports: Ports,
  isBelieved: boolean,
): Promise<{ readonly vms: number; readonly blockedMs: number }> {
  const { catalogue, clock } = ports;
  const inAdvance = isBelieved ? null : await beginEpoch(ports);
  let blockedAt = clock.monotonic();
  const staging = await Staging.begin(ports);
  if (inAdvance === null) blockedAt = clock.monotonic();
  const epoch = inAdvance ?? (await beginEpoch(ports));
  const { highWater } = await catalogue.epoch();
  // All that is recorded under the old epoch is there to be seen by now.
  await staging.catchUp();
  if (!(await staging.swap({ epoch, highWater }))) throw overtaken();
  const blockedMs = Math.round(clock.monotonic() - blockedAt);
  await staging.tellTheRest();
  if (!(await catalogue.agree(epoch, staging.incarnation))) throw overtaken();
  return { vms: staging.vms, blockedMs };
}

/** A catalogue that was restored from a backup is behind the ledger; its epochs go on after both. */
const beginEpoch = async ({ catalogue, ledger }: Ports): Promise<number> =>
  catalogue.nextEpoch((await ledger.state()).epoch);

const overtaken = (): DomainError =>
  new DomainError('ledger_rebuilding', 'Another replica has begun a later rebuild.', {
    retryAfterS: 1,
  });

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
