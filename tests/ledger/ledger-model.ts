/**
 * A ledger as simple as can be, beside which real ones are run: after random operations of two
 * replicas, every answer, every mirror and a full reading must agree with it.
 */
import { expect } from '@jest/globals';
import fc from 'fast-check';
import type { Booking, BookOutcome } from '../../src/model/ports.js';
import { shortfalls } from '../../src/model/inventory.js';
import {
  addResources,
  subtractResources,
  withoutZeros,
  type Resources,
} from '../../src/model/resources.js';
import {
  bookedBy,
  bookedIn,
  bookingOf,
  factsWith,
  hostWith,
  inTurn,
  propose,
  snapshotOf,
  type TestLedger,
} from './builders.js';

const HOST_IDS = ['a', 'b', 'c'] as const;
const VM_IDS = ['v1', 'v2', 'v3', 'v4', 'v5'] as const;

interface ModelHost {
  limits: Resources;
  open: boolean;
  revision: number;
  used: Resources;
}

class Model {
  readonly hosts = new Map<string, ModelHost>();
  readonly vms = new Map<string, Booking>();

  book(booking: Booking): BookOutcome['kind'] {
    const standing = this.vms.get(booking.vmId);
    if (standing) return standing.bookingId === booking.bookingId ? 'booked' : 'taken';
    const host = this.hosts.get(booking.hostId);
    if (!host?.open) return 'closed';
    if (shortfalls(host.limits, host.used, booking.resources).length > 0) return 'insufficient';
    host.used = addResources(host.used, booking.resources);
    this.vms.set(booking.vmId, booking);
    return 'booked';
  }

  release(booking: Booking): void {
    const standing = this.vms.get(booking.vmId);
    if (standing?.bookingId !== booking.bookingId || standing.hostId !== booking.hostId) return;
    const host = this.hosts.get(standing.hostId);
    if (host) host.used = subtractResources(host.used, standing.resources);
    this.vms.delete(booking.vmId);
  }

  setHost(id: string, limits: Resources, open: boolean, revision: number): void {
    const known = this.hosts.get(id);
    if (known && known.revision >= revision) return;
    this.hosts.set(id, { limits, open, revision, used: known?.used ?? {} });
  }

  booked(): Record<string, Resources> {
    return Object.fromEntries([...this.hosts].map(([id, { used }]) => [id, withoutZeros(used)]));
  }
}

type Operation =
  | { readonly kind: 'book'; readonly by: number; readonly bookings: readonly Booking[] }
  | { readonly kind: 'release'; readonly by: number; readonly bookings: readonly Booking[] }
  | {
      readonly kind: 'push';
      readonly by: number;
      readonly id: string;
      readonly limits: Resources;
      readonly open: boolean;
      readonly revision: number;
    }
  | { readonly kind: 'view'; readonly by: number };

const by = fc.nat({ max: 1 });
const amounts = fc.record({ cpu: fc.nat({ max: 4 }), memory: fc.nat({ max: 9 }) });
const bookings = fc.array(
  fc
    .tuple(
      fc.constantFrom(...VM_IDS),
      fc.constantFrom(...HOST_IDS),
      amounts,
      fc.constantFrom('first', 'second'),
    )
    // The amounts follow from the name: one booking id never stands for two bookings.
    .map(([vmId, hostId, resources, name]) =>
      bookingOf(
        vmId,
        hostId,
        resources,
        [vmId, hostId, resources.cpu, resources.memory, name].join('/'),
      ),
    ),
  { minLength: 1, maxLength: 4 },
);

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('book' as const), by, bookings }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('view' as const), by }) },
  // What is given back is made of VM ids; which booking they hold, the run fills in.
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('release' as const), by, bookings }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      by,
      id: fc.constantFrom(...HOST_IDS),
      limits: fc.record({ cpu: fc.nat({ max: 9 }), memory: fc.nat({ max: 20 }) }),
      open: fc.boolean(),
      revision: fc.integer({ min: 1, max: 9 }),
    }),
  },
);

let epoch = 0;

/** @param replicas hands on one ledger, which is emptied before every run */
export async function checkAgainstModel(
  replicas: readonly [TestLedger, TestLedger],
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 25 }), async (operations) => {
      const model = new Model();
      const limits = { cpu: 8, memory: 20 };
      epoch += 1;
      await replicas[0].replace(epoch, 0, snapshotOf(HOST_IDS.map((id) => hostWith(id, limits))));
      for (const id of HOST_IDS) model.setHost(id, limits, true, 1);
      for (const each of operations) {
        const replica = replicas[each.by];
        if (replica) await carryOut(each, replica, model);
      }
      expect(await bookedBy(replicas[0])).toEqual(model.booked());
      for (const replica of replicas) {
        expect(bookedIn(await replica.view())).toEqual(model.booked());
        await inTurn(replica, (turn) => {
          expect(bookedIn(turn.fleet)).toEqual(model.booked());
          return Promise.resolve();
        });
      }
    }),
    { numRuns: 40 },
  );
}

async function carryOut(each: Operation, replica: TestLedger, model: Model): Promise<void> {
  switch (each.kind) {
    case 'book': {
      const reply = await inTurn(replica, (turn) => propose(turn, each.bookings));
      const expected = each.bookings.map((booking) => model.book(booking));
      expect(reply.outcomes.map(({ kind }) => kind)).toEqual(expected);
      return;
    }
    case 'release': {
      const named = each.bookings.map((booking, index) =>
        // Mostly what stands, now and then something that does not.
        index === 3 ? booking : (model.vms.get(booking.vmId) ?? booking),
      );
      await replica.release(named);
      for (const booking of named) model.release(booking);
      return;
    }
    case 'push':
      await replica.pushHosts([
        factsWith(each.id, each.limits, {
          revision: each.revision,
          mode: each.open ? 'enabled' : 'draining',
        }),
      ]);
      model.setHost(each.id, each.limits, each.open, each.revision);
      return;
    case 'view':
      expect(bookedIn(await replica.view())).toEqual(model.booked());
  }
}
