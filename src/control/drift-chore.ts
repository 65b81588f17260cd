/**
 * Finds bookings that the ledger lost or kept without anybody noticing: a Redis that forgets a
 * release goes on counting, and no epoch and no high-water mark tells. What is under way shows as
 * drift too, and of many hosts at work some always show the same twice. So a host counts only when two
 * looks in a row, further apart than a booking's lease, find the same, and nothing was booked or
 * given back there from before the first until after the second: then nothing is under way. Hosts that
 * are never quiet for so long are left to `verify`, which looks booking by booking.
 */
import { subtractResources, withoutZeros } from '../model/resources.js';
import type { Ports } from './ports.js';
import type { Chore } from './upkeep-loop.js';

const HOSTS_PAGE = 500;

/** What the lease loop needs beyond the lease to settle what was never recorded. */
const SETTLING_MS = 2_000;

type Books = Pick<Ports, 'catalogue' | 'ledger'>;

interface Look {
  /** Where the changes of the fleet were before it. */
  readonly mark: number;
  /** Ledger minus catalogue, as text, of each host where that is not nothing. */
  readonly drifts: ReadonlyMap<string, string>;
}

/** @param onDrift called when ledger and catalogue differ for good; it has the ledger rebuilt */
export function driftChore(
  ports: Books & Pick<Ports, 'log'>,
  bookingLeaseMs: number,
  onDrift: (epoch: number) => void,
): Chore {
  let last: Look | null = null;
  return {
    name: 'compare sums',
    everyMs: bookingLeaseMs + SETTLING_MS,
    async run() {
      const { epoch, incarnation } = await ports.ledger.state();
      const before = last;
      last = null;
      if (incarnation === null) return;
      const now = await look(ports);
      last = now;
      if (before === null) return;
      const changed = await changedSince(ports, before.mark);
      if (changed === null) return;
      const stand = [...now.drifts].filter(
        ([hostId, drift]) => before.drifts.get(hostId) === drift && !changed.has(hostId),
      );
      if (stand.length === 0) return;
      ports.log.warn('ledger and catalogue differ', { hosts: Object.fromEntries(stand) });
      onDrift(epoch);
    },
  };
}

async function look(ports: Books): Promise<Look> {
  const mark = (await ports.ledger.view()).changes.now;
  return { mark, drifts: await driftsOf(ports) };
}

/** Hosts that have changed since a mark; null when it is too long ago to tell. */
async function changedSince(
  { ledger }: Pick<Ports, 'ledger'>,
  mark: number,
): Promise<ReadonlySet<string> | null> {
  const fleet = await ledger.view();
  const count = fleet.changes.since(mark);
  if (count === Infinity) return null;
  const changed = new Set<string>();
  for (let change = mark; change < mark + count; change += 1) {
    const row = fleet.changes.rowAt(change);
    // The last row is nobody's any more when a host has left.
    if (row < fleet.size) changed.add(fleet.factsAt(row).id);
  }
  return changed;
}

async function driftsOf({ catalogue, ledger }: Books): Promise<Map<string, string>> {
  const totals = await ledger.totals();
  const drifts = new Map<string, string>();
  for (let cursor: string | null = null; ;) {
    const page: Awaited<ReturnType<typeof catalogue.hosts>> = await catalogue.hosts({
      limit: HOSTS_PAGE,
      cursor,
    });
    for (const { id, allocated } of page.items) {
      const drift = withoutZeros(subtractResources(totals.get(id) ?? {}, allocated));
      const text = Object.entries(drift).map(([resource, by]) => `${resource} ${by.toString()}`);
      if (text.length > 0) drifts.set(id, text.sort().join(', '));
    }
    cursor = page.nextCursor;
    if (cursor === null) return drifts;
  }
}
