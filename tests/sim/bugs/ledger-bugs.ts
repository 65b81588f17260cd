/** Bugs inside the ledger: what its scripts, its lock and its rebuild keep from happening. */
import { addResources, subtractResources, type Resources } from '../../../src/model/resources.js';
import type { LedgerBooking, LedgerSwap } from '../../../src/model/ports.js';
import type { HostFacts } from '../../../src/model/host.js';
import { LedgerBooks } from '../../../src/sim/ledger-books.js';
import type {
  Booked,
  BookRequest,
  Held,
  Reading,
  Swapped,
} from '../../../src/sim/ledger-shapes.js';
import type { VirtualClock } from '../../../src/sim/virtual-clock.js';
import type { BrokenParts } from '../../../src/sim/world.js';
import { prngOf } from '../../../src/std/prng.js';
import { changed } from '../changed.js';
import { releasesRepeated } from './hard-times.js';
import type { WorldBug } from './seeded-bug.js';

type Broken = new (clock: VirtualClock) => LedgerBooks;

const books = (Books: Broken) => (): BrokenParts => ({ books: (clock) => new Books(clock) });

class Books extends LedgerBooks {
  protected readonly clock: VirtualClock;

  constructor(clock: VirtualClock) {
    super(() => clock.now());
    this.clock = clock;
  }

  /** What is held, to be changed as no script may. */
  protected get contents(): Map<string, Held> {
    return this.held as Map<string, Held>;
  }
}

/** Sums that are counted up and down beside the bookings. */
class Counters extends Books {
  readonly #off = new Map<string, Resources>();

  override totals(): Map<string, Resources> {
    const sums = super.totals();
    for (const [hostId, off] of this.#off) {
      const sum = sums.get(hostId);
      if (sum !== undefined) sums.set(hostId, addResources(sum, off));
    }
    return sums;
  }

  /** What a host's sum is off by. */
  protected count(hostId: string, resources: Resources): void {
    this.#off.set(hostId, addResources(this.#off.get(hostId) ?? {}, resources));
  }
}

/**
 * Whoever has the lock reads the sums, changes them and writes them: the script checks nothing. One
 * who has lost the lock meanwhile writes sums of before.
 */
export class ReadModifyWrite extends Counters {
  readonly #seen = new Map<number, Map<string, Resources>>();
  #fence = 0;

  override read(sinceStamp: number | null, raise: boolean): Reading {
    const reading = super.read(sinceStamp, raise);
    if (raise) this.#seen.set(reading.fence, this.totals());
    this.#fence = reading.fence;
    return reading;
  }

  override book(request: BookRequest): Booked {
    const now = this.totals();
    const hosts = this.hosts as Map<string, HostFacts>;
    const kept = [...hosts];
    for (const [id, facts] of kept) hosts.set(id, { ...facts, limits: ENDLESS });
    const reply = super.book({ ...request, fence: Infinity });
    for (const [id, facts] of kept) hosts.set(id, facts);
    if (request.fence === this.#fence || reply.code !== 'DONE') return reply;
    for (const hostId of new Set(request.bookings.map((booking) => booking.hostId))) {
      const seen = this.#seen.get(request.fence)?.get(hostId) ?? {};
      this.count(hostId, subtractResources(seen, now.get(hostId) ?? {}));
    }
    return reply;
  }
}

const ENDLESS: Resources = { cpu: 1e9, memory: 1e9, disk: 1e9 };

const SHORT_LEASE_MS = 20;

class ShortLease extends ReadModifyWrite {
  override lock(token: string): boolean {
    return super.lock(token, SHORT_LEASE_MS);
  }

  /** Whoever had it believes in it still. */
  override extend(): boolean {
    return true;
  }
}

const RESENT_SHARE = 0.05;

class ResentIncrement extends Counters {
  readonly #prng = prngOf('resent');

  override book(request: BookRequest): Booked {
    const reply = super.book(request);
    if (reply.code !== 'DONE' || !this.#prng.chance(RESENT_SHARE)) return reply;
    request.bookings.forEach(({ hostId, resources }, at) => {
      if (reply.outcomes[at]?.kind === 'booked') this.count(hostId, resources);
    });
    return reply;
  }
}

class BlindDecrement extends Counters {
  readonly #known = new Map<string, Resources>();

  override book(request: BookRequest): Booked {
    for (const { bookingId, resources } of request.bookings) this.#known.set(bookingId, resources);
    return super.book(request);
  }

  override release(booking: LedgerBooking): void {
    const isThere = this.held.get(booking.vmId)?.bookingId === booking.bookingId;
    super.release(booking);
    const resources = this.#known.get(booking.bookingId) ?? {};
    if (!isThere) this.count(booking.hostId, subtractResources({}, resources));
  }
}

const TTL_MS = 2_000;

class Expiring extends Books {
  override book(request: BookRequest): Booked {
    const reply = super.book(request);
    for (const { vmId, bookingId } of request.bookings) {
      this.clock.at(TTL_MS, () => {
        if (this.held.get(vmId)?.bookingId === bookingId) this.contents.delete(vmId);
      });
    }
    return reply;
  }
}

/** Undoes whatever booking a VM has, also a later one. */
class UndoAny extends Books {
  override release({ vmId }: LedgerBooking): void {
    const held = this.held.get(vmId);
    if (held !== undefined) super.release(held);
  }
}

const FILL_AFTER_MS = 30;

class FlushAndFill extends Books {
  override swap(incarnation: string, swap: LedgerSwap): Swapped {
    const code = super.swap(incarnation, swap);
    if (code !== 'SWAPPED') return code;
    const filled = [...this.contents];
    this.contents.clear();
    this.clock.at(FILL_AFTER_MS, () => {
      for (const [vmId, held] of filled) this.contents.set(vmId, held);
    });
    return code;
  }
}

/** A ledger without bookings passes for a fleet without VMs. */
class EmptyIsFree extends Books {
  override flush(): void {
    this.contents.clear();
  }
}

const tenfold = (facts: HostFacts): HostFacts => ({
  ...facts,
  limits: Object.fromEntries(Object.entries(facts.limits).map(([name, max]) => [name, max * 10])),
});

export const LEDGER_BUGS: readonly WorldBug[] = [
  {
    name: 'lock-and-write',
    what: 'the lock alone guards a read, a change and a write',
    rules: ['I1', 'I2'],
    sabotage: books(ReadModifyWrite),
  },
  {
    name: 'short-lock',
    what: 'the lock’s lease is shorter than the work, and the lock is all there is',
    rules: ['I1', 'I2'],
    sabotage: books(ShortLease),
  },
  {
    name: 'resent-increment',
    what: 'a counter is counted up once more when the client sends again',
    rules: ['I2'],
    sabotage: books(ResentIncrement),
  },
  {
    name: 'booking-expires',
    what: 'bookings have a time to live',
    rules: ['S10'],
    sabotage: books(Expiring),
  },
  {
    name: 'blind-release',
    what: 'a release counts down without looking whether there is a booking',
    rules: ['I2'],
    sabotage: books(BlindDecrement),
  },
  {
    name: 'undo-without-number',
    what: 'the undo of an earlier booking takes off a later one of the same VM',
    rules: ['S10'],
    sabotage: () => ({
      ...books(UndoAny)(),
      ports: ({ ledger, clock }) => ({ ledger: releasesRepeated(ledger, clock) }),
    }),
  },
  {
    name: 'rebuild-flushes-first',
    what: 'a rebuild empties the ledger and fills it after that',
    rules: ['S16'],
    sabotage: books(FlushAndFill),
  },
  {
    name: 'empty-is-free',
    what: 'an emptied ledger is read as an empty fleet',
    rules: ['S17'],
    sabotage: books(EmptyIsFree),
  },
  {
    name: 'wrong-limits',
    what: 'the ledger goes by limits that are not the hosts’',
    rules: ['I1'],
    sabotage: () => ({
      ports: ({ ledger }) => ({
        ledger: changed(ledger, { pushHosts: (hosts) => ledger.pushHosts(hosts.map(tenfold)) }),
      }),
    }),
  },
];
