/**
 * Watches the double's books: bookings come and go only by what was asked of them, a rebuilt ledger
 * has all that is recorded, and nothing is granted by a ledger that was lost. Goes by what is held
 * before and after each call, never by what the books answer.
 */
import type { Allocation } from '../model/vm.js';
import type { LedgerBooking, LedgerSwap } from '../model/ports.js';
import type { LedgerBooks } from './ledger-books.js';
import type { Booked, BookRequest, Held } from './ledger-shapes.js';
import type { Violations } from './violations.js';

export interface Watched {
  readonly violations: Violations;
  /** The epoch of the ledger that the catalogue goes by: of any other nothing is recorded. */
  epoch(): number;
  /** What the catalogue has booked at this moment, reservations too. */
  recorded(): Iterable<Pick<Allocation, 'bookingId' | 'hostId'>>;
}

/** The same books, under watch. */
export function watchedBooks(books: LedgerBooks, watched: Watched): LedgerBooks {
  const watch = new LedgerWatch(books, watched);
  const methods = new Map<string | symbol, unknown>();
  return new Proxy(books, {
    get(target, name) {
      const known = methods.get(name);
      if (known !== undefined) return known;
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const call = watch.around(name, (...args) => Reflect.apply(value, target, args) as unknown);
      methods.set(name, call);
      return call;
    },
  });
}

type Call = (...args: readonly unknown[]) => unknown;

class LedgerWatch {
  readonly #books: LedgerBooks;
  readonly #watched: Watched;
  /** Bookings that were held when the last call was over. */
  #size = 0;
  /** Emptied, and not rebuilt since. */
  #isLost = true;

  constructor(books: LedgerBooks, watched: Watched) {
    this.#books = books;
    this.#watched = watched;
  }

  around(name: string | symbol, call: Call): Call {
    const judged = this.#judged(name, call);
    return (...args) => {
      const { size } = this.#books.held;
      this.#expect(size === this.#size, 'S10', () => text(this.#size, 'bookings became', size));
      try {
        return judged(...args);
      } finally {
        this.#size = this.#books.held.size;
      }
    };
  }

  #judged(name: string | symbol, call: Call): Call {
    switch (name) {
      case 'book':
        return (request) => this.#book(request as BookRequest, call);
      case 'release':
        return (booking) => this.#release(booking as LedgerBooking, call);
      case 'swap':
        return (...args) => this.#swap((args[1] as LedgerSwap).epoch, call(...args));
      case 'flush':
        return () => {
          this.#isLost = true;
          return call();
        };
      case 'keep':
        return () => this.#keep(call() as () => void);
      default:
        return (...args) => this.#unchanged(name, () => call(...args));
    }
  }

  #book(request: BookRequest, call: Call): unknown {
    const before = this.#books.held.size;
    const standing = new Set(request.bookings.filter((one) => this.#holds(one)));
    const reply = call(request) as Booked;
    const granted =
      reply.code === 'DONE'
        ? request.bookings.filter(
            (one, at) => reply.outcomes[at]?.kind === 'booked' && !standing.has(one),
          )
        : [];
    this.#expect(granted.length === 0 || !this.#isLost, 'S17', () => 'a lost ledger has granted');
    const more = granted.reduce((sum, { frees }) => sum + 1 - frees.length, 0);
    const grew = this.#books.held.size - before;
    this.#expect(grew === more, 'S10', () =>
      text(granted.length, 'grants are', more, 'more, not', grew),
    );
    return reply;
  }

  #release(booking: LedgerBooking, call: Call): unknown {
    const { vmId } = booking;
    const before = this.#books.held.get(vmId);
    const answer = call(booking);
    const after = this.#books.held.get(vmId);
    const isNamed = before?.bookingId === booking.bookingId;
    this.#expect(isNamed || before === after, 'S10', () => {
      const gone = before?.bookingId ?? 'nothing';
      return `the release of ${booking.bookingId} has changed ${gone} of ${vmId}`;
    });
    return answer;
  }

  #swap(epoch: number, code: unknown): unknown {
    if (code !== 'SWAPPED') return code;
    this.#isLost = false;
    if (epoch !== this.#watched.epoch()) return code;
    const held = new Map<string, Held>();
    for (const one of this.#books.held.values()) held.set(one.bookingId, one);
    for (const { bookingId, hostId } of this.#watched.recorded()) {
      const isThere = held.get(bookingId)?.hostId === hostId;
      this.#expect(isThere, 'S16', () => `the rebuilt ledger lacks ${bookingId} on ${hostId}`);
    }
    return code;
  }

  #keep(restore: () => void): () => void {
    const wasLost = this.#isLost;
    return () => {
      restore();
      this.#size = this.#books.held.size;
      this.#isLost = wasLost;
    };
  }

  #unchanged(name: string | symbol, call: () => unknown): unknown {
    const before = this.#books.held.size;
    const answer = call();
    const after = this.#books.held.size;
    this.#expect(after === before, 'S10', () => text(String(name), 'made', after, 'of', before));
    return answer;
  }

  #holds({ vmId, bookingId }: LedgerBooking): boolean {
    return this.#books.held.get(vmId)?.bookingId === bookingId;
  }

  #expect(holds: boolean, rule: string, detail: () => string): void {
    this.#watched.violations.expect(holds, rule, detail);
  }
}

const text = (...parts: readonly (string | number)[]): string => parts.join(' ');
