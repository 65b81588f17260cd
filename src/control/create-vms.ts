/** Many creates in one request: all or none, or as many as there is room for. */
import { DomainError, invariant } from '../model/errors.js';
import type { Vm } from '../model/vm.js';
import type { Caller } from './caller.js';
import type { CreateOutcome, CreateVmInput } from './control.js';
import { createRequestOf, createVm, knownVm, twin } from './create-vm.js';
import type { PlaceRequest, PlaceResult, RefusedWithSet } from './placing.js';
import type { Ports } from './ports.js';
import { lostRoom } from './reserved-room.js';
import type { Scheduler } from './scheduler.js';
import type { WaitingRoom } from './waiting-room.js';

/** Races against twins of the request that one request may lose. */
const TRIES_MAX = 3;

/**
 * Each by itself; a refusal of one is nothing to the others. Those that wait for room line up in
 * the order of the request.
 * @throws DomainError that of the first one when none was placed
 */
export async function createSome(
  ports: Ports,
  scheduler: Scheduler,
  waitingRoom: Pick<WaitingRoom, 'isTaken' | 'enter'>,
  inputs: readonly CreateVmInput[],
  by: Caller,
): Promise<readonly CreateOutcome[]> {
  let ahead: Promise<unknown> = Promise.resolve();
  const outcomes = await Promise.all(
    inputs.map((input) => {
      const before = ahead;
      const room: typeof waitingRoom = {
        isTaken: () => waitingRoom.isTaken(),
        async enter(...arrival) {
          await before;
          return waitingRoom.enter(...arrival);
        },
      };
      const outcome = createOne(ports, scheduler, room, input, by);
      ahead = Promise.allSettled([before, outcome]);
      return outcome;
    }),
  );
  const [first] = outcomes;
  if (first?.status === 'refused' && outcomes.every(({ status }) => status === 'refused')) {
    throw atIndex(first.error, 0);
  }
  return outcomes;
}

async function createOne(...create: Parameters<typeof createVm>): Promise<CreateOutcome> {
  try {
    return { status: 'placed', vm: await createVm(...create) };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { status: 'refused', error };
  }
}

/**
 * All of them or none. What an earlier try of the same request has made is found again by its ids.
 * @throws DomainError as `createVm` does, with the `index` of the one that was refused
 */
export async function createAll(
  ports: Ports,
  scheduler: Scheduler,
  inputs: readonly CreateVmInput[],
  by: Caller,
): Promise<readonly Vm[]> {
  const waits = inputs.findIndex(({ whenFull }) => whenFull === 'queue');
  if (waits >= 0) {
    const message = 'goes with partial only: a set is placed at once or not at all';
    throw new DomainError('invalid_request', 'Some fields are not valid; see errors.', {
      errors: [{ field: 'whenFull', message }],
      extra: { index: waits },
    });
  }
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const vms = await createMissing(ports, scheduler, inputs, by);
    if (vms !== null) return vms;
  }
  throw new DomainError('create_in_progress', 'The same request is still being settled.', {
    retryAfterS: 5,
  });
}

/** @returns null when a twin of the request was faster: look again */
async function createMissing(
  ports: Ports,
  scheduler: Scheduler,
  inputs: readonly CreateVmInput[],
  by: Caller,
): Promise<readonly Vm[] | null> {
  const vms = await firstRefusal(inputs.map((input, index) => at(index, knownVm(ports, input))));
  const missing = [...vms.keys()].filter((index) => vms[index] === null);
  const requests = await firstRefusal(
    missing.map((index) => at(index, createRequestOf(ports, inputOf(inputs, index), by))),
  );
  const results = await scheduler.submitSet(requests);
  // A twin may have got the last room.
  if (
    results.some(({ kind }) => kind === 'nowhere') &&
    (await anyIsKnown(ports, inputs, missing))
  ) {
    return null;
  }
  for (const [place, result] of results.entries()) {
    const index = missing[place];
    const request = requests[place];
    invariant(index !== undefined && request !== undefined, 'every request has its answer');
    if (result.kind === 'placed') vms[index] = result.vm;
    else if (result.kind === 'taken') {
      await at(index, twin(ports, request));
      return null;
    } else if (result.kind !== 'set') {
      throw atIndex(await refusal(ports, request, inputOf(inputs, index), result), index);
    }
  }
  by.log.info('vms placed', { vmIds: requests.map(({ spec }) => spec.id) });
  return vms.map((vm) => {
    invariant(vm !== null, 'a set is placed as a whole');
    return vm;
  });
}

async function anyIsKnown(
  ports: Ports,
  inputs: readonly CreateVmInput[],
  missing: readonly number[],
): Promise<boolean> {
  const vms = await firstRefusal(
    missing.map((index) => at(index, knownVm(ports, inputOf(inputs, index)))),
  );
  return vms.some((vm) => vm !== null);
}

/** All of them; of several failures the first in the list, so that the answer does not vary. */
async function firstRefusal<T>(all: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(all);
  const answers: T[] = [];
  for (const one of all) answers.push(await one);
  return answers;
}

async function refusal(
  ports: Ports,
  { frees = [] }: PlaceRequest,
  input: CreateVmInput,
  result: Exclude<PlaceResult | RefusedWithSet, { kind: 'placed' | 'taken' | 'set' }>,
): Promise<DomainError> {
  if (result.kind === 'gone' && frees.length > 0) return lostRoom(ports, input.reservation);
  invariant(result.kind === 'nowhere', 'a create without a reservation has nothing to lose');
  return new DomainError('no_feasible_host', 'No host can take one of these VMs.', {
    extra: { summary: result.summary },
  });
}

function inputOf(inputs: readonly CreateVmInput[], index: number): CreateVmInput {
  const input = inputs[index];
  invariant(input !== undefined, 'the index is one of the request');
  return input;
}

/** Failures say which one of the request they are about. */
async function at<T>(index: number, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw error instanceof DomainError ? atIndex(error, index) : error;
  }
}

const atIndex = (error: DomainError, index: number): DomainError =>
  new DomainError(error.code, error.message, {
    extra: { ...error.extra, index },
    cause: error.cause,
    ...(error.internal === undefined ? {} : { internal: error.internal }),
    ...(error.errors === undefined ? {} : { errors: error.errors }),
    ...(error.retryAfterS === undefined ? {} : { retryAfterS: error.retryAfterS }),
  });
