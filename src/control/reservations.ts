/** Reservations: room held on a host without a VM, for somebody or for a move; and their end. */
import { NO_CONSTRAINTS, type Constraints } from '../model/constraints.js';
import type { DecisionSummary } from '../model/decision.js';
import { DomainError, hasCode } from '../model/errors.js';
import { ROOT_PATH } from '../model/path.js';
import { RESERVATION_PREFIX, type Reservation } from '../model/reservation.js';
import { withoutZeros, type Resources } from '../model/resources.js';
import type { VmSpec } from '../model/vm.js';
import type { Actor } from '../model/actor.js';
import type { Caller } from './caller.js';
import type { Ports } from './ports.js';
import type { Scheduler } from './scheduler.js';
import type { Chore } from './upkeep-loop.js';

export interface ReserveInput {
  /** The same in every try of one request, so that a repeat finds what an earlier one held. */
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  readonly path?: string | undefined;
  readonly resources: Resources;
  readonly constraints?: Constraints | undefined;
  readonly expiresInS: number;
}

export interface ReservationVerbs {
  /**
   * Holds room on the host that fits best.
   * @throws DomainError `no_feasible_host` (with the summary in `extra`) and what `createVm` throws
   */
  reserve(input: ReserveInput, by: Caller): Promise<Reservation>;
  /** Gives the room back. @throws DomainError `not_found` */
  endReservation(id: string, by: Caller): Promise<Reservation>;
}

export type HeldRoom =
  | { readonly kind: 'held'; readonly reservation: Reservation }
  | { readonly kind: 'nowhere'; readonly summary: DecisionSummary };

export interface RoomRequest {
  /** Made up when absent. */
  readonly id?: string | undefined;
  /** What is to fit; its constraints and groups count as for a VM. The id plays no part. */
  readonly spec: Pick<VmSpec, 'name' | 'path' | 'resources' | 'constraints'>;
  readonly purpose: Reservation['purpose'];
  /** When it ends by itself; null for a move. */
  readonly endsInMs: number | null;
  readonly by: Actor | null;
  /** Hosts that must not be taken, by id: the one that a VM moves away from. */
  readonly avoid?: readonly string[];
}

/** Tries when an id that was made up here is somebody else's: never, but for a broken generator. */
const IDS_MAX = 2;

/** @throws DomainError as `Scheduler.submitReservation` does */
export async function holdRoom(
  ports: Pick<Ports, 'newId'>,
  scheduler: Scheduler,
  { id: given, spec, purpose, endsInMs, by, avoid = [] }: RoomRequest,
): Promise<HeldRoom> {
  for (let tries = 0; tries < IDS_MAX; tries += 1) {
    const { name, path, resources, constraints } = spec;
    const id = given ?? `${RESERVATION_PREFIX}${ports.newId()}`;
    const result = await scheduler.submitReservation({
      kind: 'reserve',
      spec: { id, name, path, resources, constraints, image: null, users: [], onHostLoss: 'keep' },
      requestHash: '',
      avoid,
      by,
      reservation: { purpose, endsInMs },
    });
    if (result.kind === 'reserved') return { kind: 'held', reservation: result.reservation };
    if (result.kind === 'nowhere') return result;
  }
  throw new DomainError('overloaded', 'No room could be held; try again.', { retryAfterS: 1 });
}

/** @throws DomainError as `ReservationVerbs.reserve` does */
export async function reserve(
  ports: Ports,
  scheduler: Scheduler,
  input: ReserveInput,
  { actor, log }: Caller,
): Promise<Reservation> {
  const known = input.id === undefined ? null : await ports.catalogue.reservation(input.id);
  if (known !== null) return known;
  const held = await holdRoom(ports, scheduler, {
    id: input.id,
    spec: {
      name: input.name ?? `reservation-${ports.newId().slice(-8)}`,
      path: input.path ?? ROOT_PATH,
      resources: withoutZeros(input.resources),
      constraints: input.constraints ?? NO_CONSTRAINTS,
    },
    purpose: 'held',
    endsInMs: input.expiresInS * 1_000,
    by: actor,
  });
  if (held.kind === 'nowhere') {
    throw new DomainError('no_feasible_host', 'No host has this room.', {
      extra: { summary: held.summary },
    });
  }
  const { id, host, until } = held.reservation;
  log.info('room reserved', { reservationId: id, hostId: host.id, until });
  return held.reservation;
}

/** @throws DomainError `not_found` */
export async function endReservation(
  ports: Ports,
  id: string,
  { actor, log }: Caller,
): Promise<Reservation> {
  const reservation = await ports.catalogue.reservation(id);
  // What a move holds is not the caller's to end: the move would only take it again.
  if (reservation?.purpose !== 'held' || !(await giveBack(ports, id, actor))) {
    throw noSuchReservation(id);
  }
  log.info('reservation ended', { reservationId: id, hostId: reservation.host.id });
  return reservation;
}

/**
 * Ends a reservation of either purpose and tells the ledger.
 * @returns false when there was none
 */
export async function giveBack(ports: Ports, id: string, by: Actor | null): Promise<boolean> {
  const { catalogue, ledger, log } = ports;
  const booking = await catalogue.endReservation(id, by);
  if (booking === null) return false;
  try {
    await ledger.release([booking]);
    await catalogue.settleReleases([booking.bookingId]);
  } catch (error) {
    // The catalogue keeps it as pending; the lease loop goes on with it.
    log.debug('release in the ledger is left to the lease loop', { error });
  }
  return true;
}

export const noSuchReservation = (id: string): DomainError =>
  new DomainError('not_found', `There is no reservation ${id}.`);

const EXPIRY_EVERY_MS = 1_000;
const EXPIRY_BATCH = 100;

/**
 * Longer than a move takes from holding its room to saying so in the VM's row, and that is refused
 * once the room is gone. Others may wait for the room meanwhile.
 */
const ABANDONED_MS = 15_000;

/** @param onRoom called when room has been given back */
export const expiryChore = (ports: Ports, onRoom: () => void): Chore => ({
  name: 'end reservations',
  everyMs: EXPIRY_EVERY_MS,
  async run() {
    const ids = await ports.catalogue.expiredReservations(ABANDONED_MS, EXPIRY_BATCH);
    for (const id of ids) {
      try {
        if (await giveBack(ports, id, null)) {
          ports.log.info('reservation is over', { reservationId: id });
        }
      } catch (error) {
        if (hasCode(error, 'catalogue_unavailable')) throw error;
        // One that cannot be ended must not keep the others' room.
        ports.log.warn('a reservation is ended later', { reservationId: id, error });
      }
    }
    if (ids.length > 0) onRoom();
  },
});
