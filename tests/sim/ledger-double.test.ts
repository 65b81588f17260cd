/** The ledger's double is held to the contract of the real one. */
import { LedgerBooks } from '../../src/sim/ledger-books.js';
import { createLedgerDouble } from '../../src/sim/ledger-double.js';
import { inspectionOf } from '../../src/sim/ledger-inspection.js';
import { directly } from '../../src/sim/link.js';
import { prngOf } from '../../src/std/prng.js';
import { systemClock } from '../../src/std/clock.js';
import { describeLedgerContract } from '../ledger/ledger-contract.js';

const nowMs = () => systemClock.now();
const random = prngOf('ledger double');
let books = new LedgerBooks(nowMs);
let hands = 0;

describeLedgerContract('double', () => ({
  async open() {
    const double = createLedgerDouble({
      books,
      link: directly,
      clock: systemClock,
      newId: () => `turn-${(hands += 1)}`,
      random: () => random.next(),
    });
    return Object.assign(double, inspectionOf(books, directly, systemClock));
  },
  async reset() {
    books = new LedgerBooks(nowMs);
  },
}));
