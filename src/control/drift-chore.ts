/**
 * Finds bookings that the ledger lost or kept without anybody noticing: a Redis that forgets a
 * release goes on counting, and no epoch and no high-water mark tells. What is under way shows as
 * drift too, and of many hosts at work some always show the same twice. So a host counts only when two
 * looks in a row, further apart than a booking's lease, find the same, and nothing was booked or
 * given back there from before the first until after the second: then nothing is under way. Hosts that
 * are never quiet for so long are left to `verify`, which looks booking by booking.
 */
import { DomainError } from '../model/errors.js';
import { subtractResources, withoutZeros } from '../model/resources.js';
import type { HostTable } from '../placement/host-table.js';
import type { Ports } from './ports.js';
import type { Chore } from './upkeep-loop.js';

/** What the lease loop needs beyond the lease to settle what was never recorded. */
const SETTLING_MS = 2_000;

/** Shorter than it takes a fleet at work to change more than is remembered. */
const GATHER_MS = 1_000;

type Books = Pick<Ports, 'catalogue' | 'ledger'>;

/** @param onDrift called when ledger and catalogue differ for good; it has the ledger rebuilt */
export function driftChores(
  ports: Books & Pick<Ports, 'log'>,
  bookingLeaseMs: number,
  onDrift: (epoch: number) => void,
): readonly Chore[] {
  const watch = new ChangeWatch(ports);
  let before: ReadonlyMap<string, string> = new Map();
  const compare = async () => {
    const { epoch, incarnation } = await ports.ledger.state();
    const earlier = before;
    before = new Map();
    if (incarnation === null) return;
    const wasQuiet = await watch.beginAnew();
    const drifts = await driftsOf(ports);
    await watch.gather();
    before = drifts;
    const stand = [...drifts].filter(
      ([hostId, drift]) =>
        earlier.get(hostId) === drift && wasQuiet(hostId) && watch.isQuiet(hostId),
    );
    if (stand.length === 0) return;
    ports.log.warn('ledger and catalogue differ', { hosts: Object.fromEntries(stand) });
    onDrift(epoch);
  };
  return [
    { name: 'note changed hosts', everyMs: GATHER_MS, run: () => watch.gather() },
    { name: 'compare sums', everyMs: bookingLeaseMs + SETTLING_MS, run: compare },
  ];
}

/** Knows which hosts have changed since a look began. */
class ChangeWatch {
  readonly #ports: Pick<Ports, 'ledger'>;
  /** How far the changes of the fleet were gathered; null before the first time. */
  #mark: number | null = null;
  /** null when nobody can tell. */
  #changed: Set<string> | null = null;

  constructor(ports: Pick<Ports, 'ledger'>) {
    this.#ports = ports;
  }

  isQuiet(hostId: string): boolean {
    return this.#changed?.has(hostId) === false;
  }

  /** Takes in what has changed since it was called last. */
  async gather(): Promise<void> {
    const fleet = await this.#view();
    if (fleet === null) return;
    const { changes } = fleet;
    const mark = this.#mark ?? changes.now;
    this.#mark = changes.now;
    if (changes.since(mark) === Infinity) this.#changed = null;
    if (this.#changed === null) return;
    for (let change = mark; change < changes.now; change += 1) {
      const row = changes.rowAt(change);
      // The last row is nobody's any more when a host has left.
      if (row < fleet.size) this.#changed.add(fleet.factsAt(row).id);
    }
  }

  /** null while the ledger is away or being rebuilt: nobody can tell what changes meanwhile. */
  async #view(): Promise<HostTable | null> {
    try {
      return await this.#ports.ledger.view();
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      this.#changed = null;
      return null;
    }
  }

  /** @returns which hosts have not changed since the last beginning */
  async beginAnew(): Promise<(hostId: string) => boolean> {
    await this.gather();
    const changed = this.#changed;
    this.#changed = new Set();
    return (hostId) => changed?.has(hostId) === false;
  }
}

/** Ledger minus catalogue, as text, of each host where that is not nothing. */
async function driftsOf({ catalogue, ledger }: Books): Promise<Map<string, string>> {
  const totals = await ledger.totals();
  const drifts = new Map<string, string>();
  for (const [id, sums] of await catalogue.bookedSums()) {
    const drift = withoutZeros(subtractResources(totals.get(id) ?? {}, sums));
    const text = Object.entries(drift).map(([resource, by]) => `${resource} ${by.toString()}`);
    if (text.length > 0) drifts.set(id, text.sort().join(', '));
  }
  return drifts;
}
