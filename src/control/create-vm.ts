/** Create: place, book, record. From the record on the VM exists and its lifecycle goes on. */
import { NO_CONSTRAINTS } from '../model/constraints.js';
import { DomainError } from '../model/errors.js';
import { ROOT_PATH } from '../model/path.js';
import type { Log } from '../model/ports.js';
import { withoutZeros } from '../model/resources.js';
import type { Vm, VmSpec } from '../model/vm.js';
import { fingerprint } from '../std/fingerprint.js';
import type { CreateVmInput } from './control.js';
import type { Ports } from './ports.js';
import type { Scheduler } from './scheduler.js';

/** How long a create waits for a twin with the same id that is still being recorded. */
const TWIN_WAIT_MS = 3_000;
const TWIN_PAUSE_MS = 50;

/** @throws DomainError as `Control.createVm` does */
export async function createVm(
  ports: Ports,
  scheduler: Scheduler,
  input: CreateVmInput,
  log: Log,
): Promise<Vm> {
  const requestHash = fingerprint(input);
  if (input.id !== undefined) {
    const known = await ports.catalogue.vmByRequest(input.id);
    if (known !== null) return sameOrConflict(known, requestHash);
  }
  const spec = specOf(ports, input);
  const result = await scheduler.submit({ kind: 'create', spec, requestHash, avoid: [] });
  switch (result.kind) {
    case 'placed':
      log.info('vm placed', { vmId: spec.id, hostId: result.vm.host?.id });
      return result.vm;
    case 'nowhere':
      throw new DomainError('no_feasible_host', 'No host can take this VM.', {
        extra: { summary: result.summary },
      });
    case 'taken':
    case 'gone':
      return twin(ports, spec.id, requestHash);
  }
}

function specOf(ports: Ports, input: CreateVmInput): VmSpec {
  return {
    id: input.id ?? ports.newId(),
    name: input.name ?? `vm-${ports.newId().slice(0, 8)}`,
    path: input.path ?? ROOT_PATH,
    resources: withoutZeros(input.resources),
    image: input.image ?? null,
    constraints: input.constraints ?? NO_CONSTRAINTS,
  };
}

/** The same request again has the same answer; anything else may not have the id. */
function sameOrConflict(
  known: { readonly vm: Vm; readonly requestHash: string },
  requestHash: string,
): Vm {
  if (known.requestHash === requestHash && known.vm.state !== 'deleted') return known.vm;
  throw conflict(known.vm.id);
}

/** A request with the same id won the race; its row may still be on its way. */
async function twin(ports: Ports, id: string, requestHash: string): Promise<Vm> {
  const until = ports.clock.monotonic() + TWIN_WAIT_MS;
  while (ports.clock.monotonic() < until) {
    const known = await ports.catalogue.vmByRequest(id);
    if (known !== null) return sameOrConflict(known, requestHash);
    await ports.clock.sleep(TWIN_PAUSE_MS);
  }
  throw new DomainError(
    'create_in_progress',
    `An earlier create of ${id} is still being settled; try again with the same id.`,
    { retryAfterS: 5 },
  );
}

const conflict = (id: string): DomainError =>
  new DomainError('id_conflict', `The id ${id} belongs to another VM or to a deleted one.`, {
    errors: [{ field: 'id', message: 'must be an id that no other VM has or had' }],
  });
