/**
 * Finds bookings that the ledger lost or kept without anybody noticing: a Redis that forgets a
 * release goes on counting, and no epoch and no high-water mark tells. What is under way shows as
 * drift too, so a host counts only when two looks in a row, further apart than a booking's lease,
 * find the same.
 */
import { subtractResources, withoutZeros } from '../model/resources.js';
import type { Ports } from './ports.js';
import type { Chore } from './upkeep-loop.js';

const HOSTS_PAGE = 500;

/** What the lease loop needs beyond the lease to settle what was never recorded. */
const SETTLING_MS = 2_000;

/** @param onDrift called when ledger and catalogue differ for good; it has the ledger rebuilt */
export function driftChore(
  ports: Pick<Ports, 'catalogue' | 'ledger' | 'log'>,
  bookingLeaseMs: number,
  onDrift: (epoch: number) => void,
): Chore {
  let before: ReadonlyMap<string, string> = new Map();
  return {
    name: 'compare sums',
    everyMs: bookingLeaseMs + SETTLING_MS,
    async run() {
      const { epoch, incarnation } = await ports.ledger.state();
      const drifts = incarnation === null ? new Map<string, string>() : await driftsOf(ports);
      const stand = [...drifts].filter(([hostId, drift]) => before.get(hostId) === drift);
      before = drifts;
      if (stand.length === 0) return;
      ports.log.warn('ledger and catalogue differ', { hosts: Object.fromEntries(stand) });
      onDrift(epoch);
    },
  };
}

/** Ledger minus catalogue, as text, of each host where that is not nothing. */
async function driftsOf({
  catalogue,
  ledger,
}: Pick<Ports, 'catalogue' | 'ledger'>): Promise<Map<string, string>> {
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
