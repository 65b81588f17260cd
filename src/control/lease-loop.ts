/**
 * Finishes what a crash or a lost answer left half done between ledger and catalogue:
 * bookings that were never recorded are released, recorded ones are committed, and releases that
 * the ledger has not heard of are told to it. Level-triggered; any replica may run it any time.
 */
import type { LedgerBooking, Log } from '../model/ports.js';
import { Loop } from './loop.js';
import type { Ports } from './ports.js';

const TICK_MS = 1_000;

/** How long the one who released a VM may take to tell the ledger. */
const RELEASE_GRACE_MS = 2_000;

const BATCH_MAX = 500;

/** Bookings that are tried by themselves before the ledger is believed to be away. */
const FAILURES_MAX = 5;

/** How long the row of a deleted VM stays, so that a late message cannot bring it back. */
const TOMBSTONE_MS = 24 * 60 * 60 * 1_000;
const PURGE_EVERY_MS = 60 * 60 * 1_000;

/** @param bookingLeaseMs how long a booking may stay unrecorded before the catalogue is asked */
export function createLeaseLoop(ports: Ports, bookingLeaseMs: number): Loop {
  let purgedAt = -Infinity;
  return new Loop({
    clock: ports.clock,
    tickMs: TICK_MS,
    async look() {
      await settleOverdue(ports, bookingLeaseMs);
      await tellReleases(ports);
      if (ports.clock.monotonic() - purgedAt >= PURGE_EVERY_MS) {
        purgedAt = ports.clock.monotonic();
        await purge(ports);
      }
      return false;
    },
    onFailure: (error) => {
      ports.log.debug('lease loop comes back later', { error });
    },
  });
}

async function settleOverdue(
  { ledger, catalogue, log }: Ports,
  bookingLeaseMs: number,
): Promise<void> {
  const overdue = await ledger.overdueBookings(bookingLeaseMs, BATCH_MAX);
  if (overdue.length === 0) return;
  const recorded = await catalogue.recordedBookings(overdue.map(({ bookingId }) => bookingId));
  const toCommit: (LedgerBooking & { readonly assignment: number })[] = [];
  const toRelease: LedgerBooking[] = [];
  for (const booking of overdue) {
    const assignment = recorded.get(booking.bookingId);
    if (assignment === undefined) toRelease.push(booking);
    else toCommit.push({ ...booking, assignment });
  }
  await together(toCommit, (some) => ledger.commit(some), log);
  await together(toRelease, (some) => ledger.release(some), log);
  log.info('overdue bookings settled', {
    committed: toCommit.length,
    released: toRelease.length,
  });
}

async function tellReleases({ ledger, catalogue, log }: Ports): Promise<void> {
  const pending = await catalogue.pendingReleases(RELEASE_GRACE_MS, BATCH_MAX);
  if (pending.length === 0) return;
  const told = await together(pending, (some) => ledger.release(some), log);
  await catalogue.settleReleases(told.map(({ bookingId }) => bookingId));
}

/**
 * All at once; if that fails, one by one, so that a single bad one does not keep the others back.
 * @returns those with which it went well
 * @throws what was thrown first when it goes well with none: then it is the store that is away
 */
async function together<Booking extends LedgerBooking>(
  bookings: readonly Booking[],
  act: (some: readonly Booking[]) => Promise<unknown>,
  log: Log,
): Promise<readonly Booking[]> {
  try {
    await act(bookings);
    return bookings;
  } catch (error) {
    const done: Booking[] = [];
    let failures = 0;
    for (const booking of bookings) {
      try {
        await act([booking]);
        done.push(booking);
      } catch (cause) {
        failures += 1;
        const { bookingId, vmId } = booking;
        log.warn('a booking is set aside until the next look', { bookingId, vmId, error: cause });
      }
      if (done.length === 0 && failures >= FAILURES_MAX) break;
    }
    if (done.length === 0) throw error;
    return done;
  }
}

async function purge({ catalogue, log }: Ports): Promise<void> {
  const purged = await catalogue.purgeDeleted(TOMBSTONE_MS);
  if (purged > 0) log.info('rows of deleted VMs purged', { purged });
}
