/** Builders and small journeys for tests of the ledger. */
import { randomUUID } from 'node:crypto';
import { DomainError } from '../../src/model/errors.js';
import type { Host } from '../../src/model/host.js';
import { factsOf } from '../../src/model/host.js';
import type {
  BookReply,
  Booking,
  CatalogueSnapshot,
  Ledger,
  LedgerPart,
  PlacementTurn,
} from '../../src/model/ports.js';
import type { GroupCount, Membership } from '../../src/model/groups.js';
import { withoutZeros, type Resources } from '../../src/model/resources.js';
import type { Allocation } from '../../src/model/vm.js';
import type { HostTable } from '../../src/placement/host-table.js';
import { systemClock } from '../../src/std/clock.js';

export type TestLedger = Ledger<HostTable>;

/** A host whose limits are exactly these amounts. */
export function hostWith(id: string, limits: Resources, changes: Partial<Host> = {}): Host {
  return {
    id,
    name: id,
    address: `http://${id}.test`,
    zone: 'default',
    labels: {},
    state: 'up',
    mode: 'enabled',
    modeReason: null,
    modeOwner: null,
    modeUntil: null,
    fence: null,
    overrides: {},
    used: {},
    orphaned: {},
    missedPolls: 0,
    inventory: Object.fromEntries(
      Object.entries(limits).map(([name, total]) => [
        name,
        { total, reserved: 0, overcommit: 1, source: 'configured' as const },
      ]),
    ),
    allocated: {},
    vms: 0,
    seq: 1,
    revision: 1,
    agent: { version: '0', bootId: 'boot' },
    notEnforced: [],
    lastSeenAt: null,
    createdAt: new Date(0),
    ...changes,
  };
}

/** A booking named after its VM, unless told otherwise. */
export const bookingOf = (
  vmId: string,
  hostId: string,
  resources: Resources,
  bookingId = `${vmId}-first`,
  more: Partial<Booking> = {},
): Booking => ({
  bookingId,
  vmId,
  hostId,
  path: 'root',
  resources,
  groups: [],
  frees: [],
  set: null,
  ...more,
});

/** A part in the group `root/g`, unless another is named. */
export const inGroup = (policy: Membership['policy'], name = 'g'): Membership => ({
  key: `root/${name}`,
  policy,
});

export const allocationOf = (booking: Booking, assignment = 1): Allocation => ({
  ...booking,
  assignment,
});

export const snapshotOf = (
  hosts: readonly Host[],
  allocations: readonly Allocation[] = [],
): CatalogueSnapshot => ({ hosts, allocations });

/** Nobody who builds one in a test takes so long. */
const IDLE_MS = 60_000;

/** Hosts or bookings of one part. */
const PART = 500;

/**
 * A ledger made of a snapshot, and what it replaces cleared away.
 * @returns its incarnation; null when one of this epoch or a later one is there
 */
export async function rebuilt(
  ledger: Pick<TestLedger, 'stage' | 'swap' | 'clearAway'>,
  epoch: number,
  highWater: number,
  { hosts, allocations }: CatalogueSnapshot,
): Promise<string | null> {
  const incarnation = randomUUID();
  let parts = 0;
  const put = async (part: Partial<LedgerPart>) => {
    parts += 1;
    await ledger.stage(incarnation, parts, { hosts: [], gone: [], allocations: [], ...part });
  };
  for (let from = 0; parts === 0 || from < hosts.length; from += PART) {
    await put({ hosts: hosts.slice(from, from + PART).map(factsOf) });
  }
  for (let from = 0; from < allocations.length; from += PART) {
    await put({ allocations: allocations.slice(from, from + PART) });
  }
  const isSwapped = await ledger.swap(incarnation, { epoch, highWater, parts });
  await ledger.clearAway(IDLE_MS);
  return isSwapped ? incarnation : null;
}

/** Runs something under the placement lock. */
export async function inTurn<T>(
  ledger: TestLedger,
  task: (turn: PlacementTurn<HostTable>) => Promise<T>,
): Promise<T> {
  const turn = await ledger.openTurn();
  try {
    return await task(turn);
  } finally {
    await turn.end();
  }
}

/** Books as the scheduler does: in the mirror first, then in the ledger. */
export async function propose(
  turn: PlacementTurn<HostTable>,
  bookings: readonly Booking[],
): Promise<BookReply> {
  for (const { hostId, resources, groups } of bookings) {
    const row = turn.fleet.rowOf(hostId);
    if (row >= 0) turn.fleet.book(row, resources, groups);
  }
  return turn.book(bookings);
}

/** @returns the kinds of the outcomes */
export async function book(ledger: TestLedger, ...bookings: Booking[]): Promise<string[]> {
  const reply = await inTurn(ledger, (turn) => propose(turn, bookings));
  return reply.outcomes.map(({ kind }) => kind);
}

/** What a table shows as booked, without zeros. */
export const bookedIn = (table: HostTable): Record<string, Resources> =>
  Object.fromEntries(
    [...table.hosts()]
      .map(({ id, allocated }): [string, Resources] => [id, withoutZeros(allocated)])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

/** Where a table shows members of these groups of `root`: group → host → [members, exclusive]. */
export const membersIn = (
  table: HostTable,
  ...names: string[]
): Record<string, Record<string, readonly [number, number]>> =>
  Object.fromEntries(
    names.map((name) => [
      name,
      Object.fromEntries(
        [...table.groups.hostsOf(`root/${name}`)].map(
          ([hostId, { members, exclusive }]: readonly [string, GroupCount]) => [
            hostId,
            [members, exclusive] as const,
          ],
        ),
      ),
    ]),
  );

/** What a ledger has booked, without zeros. */
export const bookedBy = async (ledger: TestLedger): Promise<Record<string, Resources>> =>
  Object.fromEntries(
    [...(await ledger.totals())]
      .map(([id, used]): [string, Resources] => [id, withoutZeros(used)])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

/** Asks until there is an answer, as callers do; each connection to Redis comes back in its own time. */
export async function untilAnswered<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (codeOf(error) !== 'ledger_unavailable') throw error;
      await systemClock.sleep(20);
    }
  }
}

export const codeOf = (error: unknown): string | null =>
  error instanceof DomainError ? error.code : null;

export const factsWith = (...parameters: Parameters<typeof hostWith>) =>
  factsOf(hostWith(...parameters));
