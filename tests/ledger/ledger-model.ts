/**
 * A ledger as simple as can be, beside which real ones are run: after random operations of two
 * replicas, every answer, every mirror and a full reading must agree with it. It keeps who holds
 * what and nothing else: sums and members are counted anew whenever they are asked for.
 */
import { expect } from '@jest/globals';
import fc from 'fast-check';
import { GROUP_POLICIES } from '../../src/model/groups.js';
import type { Booking, BookOutcome } from '../../src/model/ports.js';
import { addResources, withoutZeros, type Resources } from '../../src/model/resources.js';
import type { HostTable } from '../../src/placement/host-table.js';
import {
  bookedBy,
  bookedIn,
  bookingOf,
  factsWith,
  hostWith,
  inGroup,
  inTurn,
  membersIn,
  propose,
  rebuilt,
  snapshotOf,
  type TestLedger,
} from './builders.js';

const HOST_IDS = ['a', 'b', 'c'] as const;
const VM_IDS = ['v1', 'v2', 'v3', 'v4', 'v5'] as const;
const GROUP_NAMES = ['g', 'h'] as const;

interface ModelHost {
  readonly limits: Resources;
  readonly open: boolean;
  readonly revision: number;
}

interface Held {
  readonly booking: Booking;
  readonly committed: boolean;
  /** What it took the place of. */
  readonly displaced: readonly Held[];
}

type Kind = BookOutcome['kind'];

class Model {
  readonly hosts = new Map<string, ModelHost>();
  vms = new Map<string, Held>();

  /** Sets are carried out where their first booking stands. */
  bookAll(bookings: readonly Booking[]): readonly Kind[] {
    const kinds = new Map<number, Kind>();
    bookings.forEach(({ set }, at) => {
      if (kinds.has(at)) return;
      const before = new Map(this.vms);
      const together = bookings
        .map((booking, index) => ({ booking, index }))
        .filter(({ booking, index }) => index === at || (set !== null && booking.set === set));
      for (const { booking, index } of together) kinds.set(index, this.#book(booking));
      if (set === null || together.every(({ index }) => kinds.get(index) === 'booked')) return;
      this.vms = before;
      for (const { index } of together) {
        if (kinds.get(index) === 'booked') kinds.set(index, 'set');
      }
    });
    return bookings.map((_booking, index) => kinds.get(index) ?? 'booked');
  }

  #book(booking: Booking): Kind {
    const standing = this.vms.get(booking.vmId)?.booking;
    if (standing?.bookingId === booking.bookingId) return 'booked';
    if (standing && !booking.frees.some(({ vmId }) => vmId === booking.vmId)) return 'taken';
    const before = new Map(this.vms);
    const displaced: Held[] = [];
    for (const { vmId, bookingId, hostId } of booking.frees) {
      const held = this.vms.get(vmId);
      if (held?.booking.bookingId === bookingId && held.booking.hostId === hostId) {
        displaced.push(held);
        this.vms.delete(vmId);
      }
    }
    const refusal =
      displaced.length < booking.frees.length ? ('freed' as const) : this.#refusal(booking);
    if (refusal === null) this.vms.set(booking.vmId, { booking, committed: false, displaced });
    else this.vms = before;
    return refusal ?? 'booked';
  }

  #refusal({ hostId, resources, groups }: Booking): Kind | null {
    const host = this.hosts.get(hostId);
    const used = this.booked()[hostId] ?? {};
    const over = (amounts: Resources) =>
      Object.entries(amounts).some(([name, amount]) => amount > (host?.limits[name] ?? 0));
    if (!host?.open || over(used)) return 'closed';
    for (const { key, policy } of groups) {
      const members = this.#members(key);
      const here = members.filter((member) => member.hostId === hostId);
      if (here.some((member) => member.policy === 'anti-affinity')) return 'group';
      if (policy === 'anti-affinity' && here.length > 0) return 'group';
      if (policy === 'affinity' && members.length > 0 && here.length === 0) return 'group';
    }
    const asked = withoutZeros(resources);
    const after = Object.fromEntries(
      Object.entries(asked).map(([name, amount]) => [name, amount + (used[name] ?? 0)]),
    );
    return over(after) ? 'insufficient' : null;
  }

  release({ vmId, bookingId, hostId }: Booking): void {
    const held = this.vms.get(vmId);
    if (held?.booking.bookingId !== bookingId || held.booking.hostId !== hostId) return;
    this.vms.delete(vmId);
    if (held.committed) return;
    for (const back of held.displaced) {
      if (!this.vms.has(back.booking.vmId)) {
        this.vms.set(back.booking.vmId, { ...back, committed: false });
      }
    }
  }

  commit({ vmId, bookingId }: Booking): void {
    const held = this.vms.get(vmId);
    if (held?.booking.bookingId === bookingId) {
      this.vms.set(vmId, { ...held, committed: true, displaced: [] });
    }
  }

  setHost(id: string, limits: Resources, open: boolean, revision: number): void {
    const known = this.hosts.get(id);
    if (known && known.revision >= revision) return;
    this.hosts.set(id, { limits, open, revision });
  }

  booked(): Record<string, Resources> {
    const sums: Record<string, Resources> = Object.fromEntries(
      [...this.hosts.keys()].map((id) => [id, {}]),
    );
    for (const { booking } of this.vms.values()) {
      const { hostId, resources } = booking;
      sums[hostId] = withoutZeros(addResources(sums[hostId] ?? {}, resources));
    }
    return sums;
  }

  members(): ReturnType<typeof membersIn> {
    return Object.fromEntries(
      GROUP_NAMES.map((name) => {
        const hosts: Record<string, readonly [number, number]> = {};
        for (const { hostId, policy } of this.#members(`root/${name}`)) {
          const [members, exclusive] = hosts[hostId] ?? [0, 0];
          hosts[hostId] = [members + 1, exclusive + (policy === 'anti-affinity' ? 1 : 0)];
        }
        return [name, hosts];
      }),
    );
  }

  #members(key: string) {
    return [...this.vms.values()].flatMap(({ booking }) =>
      booking.groups
        .filter((group) => group.key === key)
        .map(({ policy }) => ({ policy, hostId: booking.hostId })),
    );
  }
}

/** A booking before it is known which bookings stand that it could take the place of. */
interface Wish {
  readonly vmId: string;
  readonly hostId: string;
  readonly resources: Resources;
  readonly groups: Booking['groups'];
  readonly set: string | null;
  /** VMs whose present bookings it frees. */
  readonly freesOf: readonly string[];
  readonly name: string;
}

type Operation =
  | {
      readonly kind: 'book' | 'release' | 'commit';
      readonly by: number;
      readonly wishes: readonly Wish[];
    }
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
const group = fc
  .tuple(fc.constantFrom(...GROUP_POLICIES), fc.constantFrom(...GROUP_NAMES))
  .map(([policy, name]) => inGroup(policy, name));
const mostly = <T>(usual: T, other: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 2, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other });

const wishes = fc.array(
  fc.record({
    vmId: fc.constantFrom(...VM_IDS),
    hostId: fc.constantFrom(...HOST_IDS),
    resources: fc.record({ cpu: fc.nat({ max: 3 }), memory: fc.nat({ max: 6 }) }),
    groups: mostly<Booking['groups']>(
      [],
      fc.uniqueArray(group, { maxLength: 2, selector: ({ key }) => key }),
    ),
    set: mostly<string | null>(null, fc.constantFrom('s', 't')),
    freesOf: mostly<readonly string[]>([], fc.uniqueArray(fc.constantFrom(...VM_IDS))),
    name: fc.constantFrom('first', 'second'),
  }),
  { minLength: 1, maxLength: 4 },
);

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('book' as const), by, wishes }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('view' as const), by }) },
  // What is given back or committed is made of VM ids; which booking they hold, the run fills in.
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('release', 'commit'), by, wishes }),
  },
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
      await rebuilt(replicas[0], epoch, 0, snapshotOf(HOST_IDS.map((id) => hostWith(id, limits))));
      for (const id of HOST_IDS) model.setHost(id, limits, true, 1);
      for (const each of operations) {
        const replica = replicas[each.by];
        if (replica) await carryOut(each, replica, model);
      }
      expect(await bookedBy(replicas[0])).toEqual(model.booked());
      for (const replica of replicas) {
        expectAgreement(await replica.view(), model);
        await inTurn(replica, (turn) => {
          expectAgreement(turn.fleet, model);
          return Promise.resolve();
        });
      }
    }),
    { numRuns: 120 },
  );
}

function expectAgreement(table: HostTable, model: Model): void {
  expect(bookedIn(table)).toEqual(model.booked());
  expect(membersIn(table, ...GROUP_NAMES)).toEqual(model.members());
}

/** One booking id never stands for two bookings: it is made of all that the booking says. */
function bookingFor(wish: Wish, model: Model): Booking {
  const { vmId, hostId, resources, groups, set, freesOf, name } = wish;
  const frees = freesOf.flatMap((id) => {
    const standing = model.vms.get(id)?.booking;
    if (standing) return [{ bookingId: standing.bookingId, vmId: id, hostId: standing.hostId }];
    // Now and then it names one that is gone.
    return name === 'second' ? [{ bookingId: '-', vmId: id, hostId: 'a' }] : [];
  });
  const id = JSON.stringify([vmId, hostId, resources, groups, freesOf, frees, name]);
  return bookingOf(vmId, hostId, resources, id, { groups, set, frees });
}

async function carryOut(each: Operation, replica: TestLedger, model: Model): Promise<void> {
  switch (each.kind) {
    case 'book':
      await bookBoth(
        each.wishes.map((wish) => bookingFor(wish, model)),
        replica,
        model,
      );
      return;
    case 'release':
    case 'commit': {
      const named = each.wishes.map((wish, index) =>
        // Mostly what stands, now and then something that does not.
        index === 3
          ? bookingFor(wish, model)
          : (model.vms.get(wish.vmId)?.booking ?? bookingFor(wish, model)),
      );
      if (each.kind === 'release') {
        await replica.release(named);
        for (const booking of named) model.release(booking);
      } else {
        await replica.commit(named.map((booking) => ({ ...booking, assignment: 1 })));
        for (const booking of named) model.commit(booking);
      }
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
      expectAgreement(await replica.view(), model);
  }
}

/** As the scheduler does: what is freed goes off the mirror, what is proposed goes on it. */
async function bookBoth(
  bookings: readonly Booking[],
  replica: TestLedger,
  model: Model,
): Promise<void> {
  await inTurn(replica, async (turn) => {
    for (const { vmId } of bookings.flatMap(({ frees }) => frees)) {
      const standing = model.vms.get(vmId)?.booking;
      if (standing === undefined) continue;
      turn.fleet.unbook(turn.fleet.rowOf(standing.hostId), standing.resources, standing.groups);
    }
    const reply = await propose(turn, bookings);
    expect(reply.outcomes.map(({ kind }) => kind)).toEqual(model.bookAll(bookings));
    await turn.catchUp();
    expectAgreement(turn.fleet, model);
  });
}
