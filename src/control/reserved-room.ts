/** The room of a reservation, for the VM that is to have it. */
import { DomainError, type FieldError } from '../model/errors.js';
import { membershipsOf } from '../model/groups.js';
import type { Reservation } from '../model/reservation.js';
import type { VmSpec } from '../model/vm.js';
import type { PlaceRequest } from './placing.js';
import type { Ports } from './ports.js';

/**
 * What a request says that takes the place of a reservation; nothing when it takes none.
 * @throws DomainError `invalid_request` when there is no such reservation, or the VM is too large
 *   for it or wants another host
 */
export async function roomOf(
  ports: Ports,
  id: string | undefined,
  spec: VmSpec,
): Promise<Pick<PlaceRequest, 'onHost' | 'frees'>> {
  if (id === undefined) return {};
  const reservation = await ports.catalogue.reservation(id);
  if (reservation?.purpose !== 'held') throw noRoom(id);
  const errors = misfits(reservation, spec);
  if (errors.length > 0) {
    throw new DomainError('invalid_request', 'The VM does not fit its reservation; see errors.', {
      errors,
    });
  }
  return { onHost: reservation.host.id, frees: [freedBy(reservation)] };
}

/** The booking of a reservation, to be freed by the one that takes its place. */
export const freedBy = ({
  id,
  bookingId,
  host,
  path,
  resources,
  constraints,
}: Reservation): NonNullable<PlaceRequest['frees']>[number] => ({
  bookingId,
  vmId: id,
  hostId: host.id,
  resources,
  groups: membershipsOf(path, constraints.groups),
});

/** Somebody else who takes a reservation has it recorded by then. */
const RECORD_WAIT_MS = 1_000;
const RECORD_PAUSE_MS = 50;

/** Why a request lost the reservation that it was to take the place of. */
export async function lostRoom(
  { catalogue, clock }: Ports,
  id: string | undefined,
): Promise<DomainError> {
  const until = clock.monotonic() + RECORD_WAIT_MS;
  while (id !== undefined && clock.monotonic() < until) {
    if ((await catalogue.reservation(id)) === null) return noRoom(id);
    await clock.sleep(RECORD_PAUSE_MS);
  }
  // Whoever had it in the ledger was not recorded; the ledger puts it back, or a rebuild does.
  return new DomainError('ledger_rebuilding', 'The reservation is on its way back; try again.', {
    retryAfterS: 1,
  });
}

const noRoom = (id: string): DomainError =>
  new DomainError('invalid_request', `There is no reservation ${id} (any more).`, {
    errors: [{ field: 'reservation', message: 'must be the id of a reservation that is not over' }],
  });

function misfits({ resources, host }: Reservation, spec: VmSpec): readonly FieldError[] {
  const errors = Object.entries(spec.resources)
    .filter(([resource, amount]) => amount > (resources[resource] ?? 0))
    .map(([resource]) => ({
      field: `resources.${resource}`,
      message: `must be at most ${(resources[resource] ?? 0).toString()}, as its reservation holds`,
    }));
  const named = spec.constraints.host;
  if (named === undefined || named === host.id || named === host.name) return errors;
  return [
    ...errors,
    { field: 'constraints.host', message: `must be ${host.name}, where its reservation is` },
  ];
}
