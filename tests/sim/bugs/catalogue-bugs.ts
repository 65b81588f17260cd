/** Bugs inside the catalogue, the last word on what is booked. */
import type { HostFacts } from '../../../src/model/host.js';
import type { Catalogue, LedgerBooking } from '../../../src/model/ports.js';
import type { CatalogueDouble } from '../../../src/sim/catalogue/catalogue.js';
import type { HostRow } from '../../../src/sim/catalogue/rows.js';
import type { Tables } from '../../../src/sim/catalogue/tables.js';
import { LedgerBooks } from '../../../src/sim/ledger-books.js';
import type { BrokenParts } from '../../../src/sim/world.js';
import { changed } from '../changed.js';
import { hostsFlap, ledgersForget, operatorsRebuild } from './hard-times.js';
import type { WorldBug } from './seeded-bug.js';

const catalogue =
  (changes: (catalogue: Catalogue, tables: Tables) => Partial<Catalogue>) => (): BrokenParts => ({
    catalogue: (double: CatalogueDouble) =>
      changed<Catalogue>(double.catalogue, changes(double.catalogue, double.tables)),
  });

/** Does something while every host looks as `shown`; its own facts are back when it is done. */
function blindly<T>(tables: Tables, shown: (host: HostRow) => Partial<HostRow>, run: () => T): T {
  const kept = [...tables.hosts.rows()];
  for (const host of kept) tables.hosts.put(host.id, { ...host, ...shown(host) });
  tables.journal.commit();
  const result = run();
  for (const { id, limits, mode, state } of kept) {
    tables.hosts.put(id, { ...tables.hosts.get(id)!, limits, mode, state });
  }
  tables.journal.commit();
  return result;
}

/** Not kept for a move or by a reservation. */
const isPlain =
  (tables: Tables) =>
  ({ bookingId }: { readonly bookingId: string }): boolean =>
    tables.allocations.get(bookingId)?.reservationId === null;

const ENDLESS = { cpu: 1e9, memory: 1e9, disk: 1e9 };

const isOverFull = ({ allocated, limits }: HostRow): boolean =>
  Object.entries(allocated).some(([resource, sum]) => sum > (limits[resource] ?? 0));

/** What is told to placement of hosts, but never that one gives less than it first did. */
function neverLess() {
  const first = new Map<string, HostFacts['limits']>();
  return (facts: HostFacts): HostFacts => {
    const limits = first.get(facts.id) ?? facts.limits;
    first.set(facts.id, limits);
    return { ...facts, limits };
  };
}

/** Every so many numbers one is given again. */
const TWICE_EVERY = 5;

/** Bookings are overdue whether they are marked as recorded or not. */
class Overdue extends LedgerBooks {
  override overdue(): LedgerBooking[] {
    return [...this.held.values()].map(({ bookingId, vmId, hostId }) => ({
      ...{ bookingId, vmId, hostId },
    }));
  }
}

export const CATALOGUE_BUGS: readonly WorldBug[] = [
  {
    name: 'room-unchecked-at-commit',
    what: 'the record of a booking trusts that there is room',
    rules: ['S1', 'S2'],
    sabotage: () => ({
      ...catalogue((real, tables) => ({
        record: (...args) =>
          blindly(
            tables,
            () => ({ limits: ENDLESS }),
            () => real.record(...args),
          ),
      }))(),
      begin: ledgersForget,
    }),
  },
  {
    name: 'shrunk-host-unchecked',
    what: 'on a host that was made smaller than what it has, nobody looks for room any more',
    rules: ['S2'],
    sabotage() {
      let shown = neverLess();
      return {
        catalogue({ catalogue: real, tables }) {
          shown = neverLess();
          return changed<Catalogue>(real, {
            record: (...args) =>
              blindly(
                tables,
                (host) => (isOverFull(host) ? { limits: ENDLESS } : {}),
                () => real.record(...args),
              ),
          });
        },
        ports: ({ ledger }) => ({
          ledger: changed(ledger, {
            pushHosts: (hosts) => ledger.pushHosts(hosts.map((facts) => shown(facts))),
          }),
        }),
      };
    },
  },
  {
    name: 'number-given-twice',
    what: 'an assignment is given to two bookings',
    rules: ['S18'],
    sabotage: () => ({
      catalogue({ catalogue: real, tables }) {
        const next = tables.nextAssignment.bind(tables);
        let given = 0;
        tables.nextAssignment = () => {
          given += 1;
          return given % TWICE_EVERY === 0 ? tables.lastAssignment : next();
        };
        return real;
      },
    }),
  },
  {
    name: 'outbox-never-drained',
    what: 'changes are written down and never become events',
    rules: ['L4'],
    sabotage: catalogue((_real, tables) => ({
      sequenceEvents: async () => ({ head: tables.head, more: false }),
    })),
  },
  {
    name: 'automation-unlimited',
    what: 'every host that flaps is closed, however many there are',
    rules: ['S22'],
    sabotage: () => ({
      ...catalogue((real, tables) => ({
        cordonFlapping(rule) {
          tables.cordons = [];
          for (const host of [...tables.hosts.rows()]) {
            tables.hosts.put(host.id, { ...host, cordonedByAutomation: false });
          }
          tables.journal.commit();
          return real.cordonFlapping(rule);
        },
      }))(),
      begin: hostsFlap,
    }),
  },
  {
    name: 'cordon-unchecked-at-commit',
    what: 'the record of a booking does not look whether the host is open',
    rules: ['S12', 'S13'],
    sabotage: catalogue((real, tables) => ({
      record: (...args) =>
        blindly(
          tables,
          () => ({ mode: 'enabled', state: 'up' }),
          () => real.record(...args),
        ),
    })),
  },
  {
    name: 'stale-plan',
    what: 'what was decided on a ledger that has been replaced is recorded all the same',
    rules: ['S16'],
    sabotage: () => ({
      ...catalogue((real, tables) => ({
        record: (_epoch, seq, items) => real.record(tables.agreement.epoch, seq, items),
      }))(),
      begin: operatorsRebuild,
    }),
  },
  {
    name: 'rebuild-skips-moves',
    what: 'a rebuild leaves out what is kept for moves and reservations',
    rules: ['S16'],
    sabotage: catalogue((real, tables) => ({
      async bookings(query) {
        const page = await real.bookings(query);
        return { ...page, items: page.items.filter(isPlain(tables)) };
      },
      async changesSince(mark, revisions) {
        const changes = await real.changesSince(mark, revisions);
        return { ...changes, allocations: changes.allocations.filter(isPlain(tables)) };
      },
    })),
  },
  {
    name: 'delete-not-done',
    what: 'a delete is acknowledged and not done',
    rules: ['S8'],
    sabotage: catalogue((real) => ({
      want: async (id, desired, by) =>
        desired === 'deleted' ? real.vm(id) : real.want(id, desired, by),
    })),
  },
  {
    name: 'recorded-unknown',
    what: 'bookings that are recorded are taken for leftovers as soon as anybody looks',
    rules: ['L2', 'S10'],
    sabotage: () => ({
      ...catalogue(() => ({ recordedBookings: async () => new Map() }))(),
      books: (clock) => new Overdue(() => clock.now()),
    }),
  },
];
