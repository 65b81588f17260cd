/** Create: place, book, record. From the record on the VM exists and its lifecycle goes on. */
import { NO_CONSTRAINTS } from '../model/constraints.js';
import { DomainError } from '../model/errors.js';
import { ROOT_PATH } from '../model/path.js';
import { withoutZeros } from '../model/resources.js';
import type { Vm, VmSpec } from '../model/vm.js';
import { fingerprint } from '../std/fingerprint.js';
import type { Caller } from './caller.js';
import type { CreateVmInput } from './control.js';
import type { PlaceRequest } from './placing.js';
import type { Ports } from './ports.js';
import { lostRoom, roomOf } from './reserved-room.js';
import type { Scheduler } from './scheduler.js';
import type { WaitingRoom } from './waiting-room.js';

/** How long a create waits for a twin with the same id that is still being recorded. */
const TWIN_WAIT_MS = 3_000;
const TWIN_PAUSE_MS = 50;

/** @throws DomainError as `Control.createVm` does */
export async function createVm(
  ports: Ports,
  scheduler: Scheduler,
  waitingRoom: Pick<WaitingRoom, 'isTaken' | 'enter'>,
  input: CreateVmInput,
  by: Caller,
): Promise<Vm> {
  const known = await knownVm(ports, input);
  if (known !== null) return known;
  const request = await createRequestOf(ports, input, by);
  const mayWait = input.whenFull === 'queue';
  // Whoever is ready to wait does not get in before those who wait already.
  if (mayWait && (await waitingRoom.isTaken()))
    return letWait(ports, waitingRoom, input, request, by);
  const result = await scheduler.submit(request);
  switch (result.kind) {
    case 'placed':
      by.log.info('vm placed', { vmId: request.spec.id, hostId: result.vm.host?.id });
      return result.vm;
    case 'nowhere': {
      // A twin may have got the last room.
      const made = await knownVm(ports, input);
      if (made !== null) return made;
      if (mayWait) return letWait(ports, waitingRoom, input, request, by);
      throw new DomainError('no_feasible_host', 'No host can take this VM.', {
        extra: { summary: result.summary },
      });
    }
    case 'taken':
      return twin(ports, request);
    case 'gone':
      return withoutItsRoom(ports, input);
  }
}

async function letWait(
  ports: Ports,
  waitingRoom: Pick<WaitingRoom, 'enter'>,
  { deadlineS }: CreateVmInput,
  { spec, requestHash, strategy = null }: PlaceRequest,
  { actor, log }: Caller,
): Promise<Vm> {
  if (await runsUnrecorded(ports, spec.id)) throw conflict(spec.id);
  const arrival = { spec, requestHash, strategy, by: actor };
  const known = await waitingRoom.enter(arrival, deadlineS);
  log.info('vm waits for room', { vmId: spec.id, until: known.vm.waitUntil });
  return sameOrConflict(known, requestHash);
}

/**
 * The VM that an earlier request with this id has made.
 * @returns null when there is none
 * @throws DomainError `id_conflict` when it was another request
 */
export async function knownVm(ports: Ports, input: CreateVmInput): Promise<Vm | null> {
  if (input.id === undefined) return null;
  const known = await ports.catalogue.vmByRequest(input.id);
  return known === null ? null : sameOrConflict(known, fingerprint(input));
}

/** @throws DomainError `invalid_request` when the reservation cannot be its place */
export async function createRequestOf(
  ports: Ports,
  input: CreateVmInput,
  { actor, isGone }: Caller,
): Promise<PlaceRequest> {
  const spec = specOf(ports, input);
  return {
    kind: 'create',
    spec,
    // An id that was made up just now is in nobody's request.
    requestHash: input.id === undefined ? '' : fingerprint(input),
    avoid: [],
    by: actor,
    isGone,
    strategy: input.strategy ?? null,
    ...(await roomOf(ports, input.reservation, spec)),
  };
}

function specOf(ports: Ports, input: CreateVmInput): VmSpec {
  return {
    id: input.id ?? ports.newId(),
    name: input.name ?? `vm-${ports.newId().slice(-8)}`,
    path: input.path ?? ROOT_PATH,
    resources: withoutZeros(input.resources),
    image: input.image ?? null,
    users: input.users ?? [],
    constraints: input.constraints ?? NO_CONSTRAINTS,
    onHostLoss: input.onHostLoss ?? 'keep',
  };
}

/**
 * Its reservation is no longer there: a twin of this request has it, or it is over, or the ledger
 * does not show it while it is being rebuilt.
 */
async function withoutItsRoom(ports: Ports, input: CreateVmInput): Promise<Vm> {
  const known = await knownVm(ports, input);
  if (known !== null) return known;
  throw await lostRoom(ports, input.reservation);
}

/** The same request again has the same answer; anything else may not have the id. */
function sameOrConflict(
  known: { readonly vm: Vm; readonly requestHash: string },
  requestHash: string,
): Vm {
  if (known.requestHash === requestHash && known.vm.state !== 'deleted') return known.vm;
  throw conflict(known.vm.id);
}

/**
 * The VM of a request with the same id that won the race; its row may still be on its way.
 * @throws DomainError `id_conflict`, `create_in_progress`
 */
export async function twin(
  ports: Ports,
  { spec, requestHash }: Pick<PlaceRequest, 'spec' | 'requestHash'>,
): Promise<Vm> {
  const until = ports.clock.monotonic() + TWIN_WAIT_MS;
  while (ports.clock.monotonic() < until) {
    const known = await ports.catalogue.vmByRequest(spec.id);
    if (known !== null) return sameOrConflict(known, requestHash);
    if (await runsUnrecorded(ports, spec.id)) throw conflict(spec.id);
    await ports.clock.sleep(TWIN_PAUSE_MS);
  }
  throw new DomainError(
    'create_in_progress',
    `An earlier create of ${spec.id} is still being settled; try again with the same id.`,
    { retryAfterS: 5 },
  );
}

/** A second one of its id would be a VM on two hosts, or get the disk of the first. */
const runsUnrecorded = async ({ catalogue }: Ports, id: string): Promise<boolean> =>
  (await catalogue.orphans()).some(({ vmId }) => vmId === id);

const conflict = (id: string): DomainError =>
  new DomainError('id_conflict', `The id ${id} belongs to another VM or to a deleted one.`, {
    errors: [{ field: 'id', message: 'must be an id that no other VM has or had' }],
  });
