/** The handler of `POST /v1/vms`: one VM, so many alike, or a list. */
import type { z } from 'zod';
import type { CreateOutcome, CreateVmInput } from '../control/control.js';
import { DomainError } from '../model/errors.js';
import type { Vm } from '../model/vm.js';
import {
  WAIT_TIMEOUT_S,
  type CreatedVmsBody,
  type CreateVmBody,
  type createVmQuerySchema,
  type CreateVmsBody,
} from '../wire/vms.js';
import type { Principal } from './principal.js';
import type { Answer, ApiPorts, Call } from './route.js';
import { createAs, errorFor, vmBodyFor } from './tenancy.js';
import { vmBody } from './vms.js';

type CreateCall = Call<undefined, z.infer<typeof createVmQuerySchema>, CreateVmsBody>;

/** 202 in every case: what is shown is how the VMs are when the answer is given. */
export async function createVms(call: CreateCall, { control }: ApiPorts): Promise<Answer> {
  const { body, principal, by } = call;
  const inputs = wishesOf(body).map((wish, index) => inputOf(call, wish, index));
  const [only] = inputs;
  if (!('vms' in body) && body.count === undefined && only !== undefined) {
    const vm = await settled(call, control, await control.createVm(only, by));
    return { status: 202, json: vmBodyFor(principal, vmBody(vm)) };
  }
  const outcomes = await control
    .createVms(inputs, { partial: body.partial === true }, by)
    .catch((error: unknown) => {
      throw atItsPlace(body, error);
    });
  const shown = await Promise.all(
    outcomes.map(async (outcome) =>
      outcome.status === 'refused'
        ? outcome
        : { ...outcome, vm: await settled(call, control, outcome.vm) },
    ),
  );
  return { status: 202, json: createdVmsBody(principal, shown) };
}

/** What is asked of each VM, in order. */
function wishesOf(body: CreateVmsBody): readonly CreateVmBody[] {
  if ('vms' in body) return body.vms;
  const { count, partial: _partial, ...wish } = body;
  if (count === undefined) return [wish];
  return Array.from({ length: count }, (_none, index) => ({
    ...wish,
    ...(wish.name === undefined ? {} : { name: numbered(wish.name, index) }),
  }));
}

/** Longest name that a VM may have. */
const NAME_LENGTH_MAX = 63;

/** `web` becomes `web-1`, …; a long name loses its end, and not its number. */
function numbered(name: string, index: number): string {
  const ending = `-${(index + 1).toString()}`;
  return name.slice(0, NAME_LENGTH_MAX - ending.length) + ending;
}

/** @throws DomainError `invalid_request` or `forbidden`, naming the VM of a list that is wrong */
function inputOf(call: CreateCall, wish: CreateVmBody, index: number): CreateVmInput {
  try {
    const input = createAs(call.principal, wish);
    // A repeat whose first try broke off finds the VMs that it made.
    return { ...input, id: input.id ?? call.stableId(index) };
  } catch (error) {
    throw atItsPlace(call.body, error, index);
  }
}

/** What is wrong with one VM of a list, with its fields as they were sent: `vms.3.id`. */
function atItsPlace(body: CreateVmsBody, error: unknown, given?: number): unknown {
  if (!('vms' in body) || !(error instanceof DomainError)) return error;
  const { code, message, internal, errors, extra, retryAfterS, cause } = error;
  const index = given ?? extra.index;
  if (errors === undefined || typeof index !== 'number') return error;
  return new DomainError(code, message, {
    errors: errors.map(({ field, message: rule }) => ({
      field: `vms.${index.toString()}.${field}`,
      message: rule,
    })),
    extra,
    ...(internal === undefined ? {} : { internal }),
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
    ...(cause === undefined ? {} : { cause }),
  });
}

async function settled(call: CreateCall, control: ApiPorts['control'], vm: Vm): Promise<Vm> {
  const { wait, timeout = WAIT_TIMEOUT_S } = call.query;
  if (wait === undefined) return vm;
  return control.waitForVm(vm.id, timeout * 1000, call.untilGone());
}

function createdVmsBody(principal: Principal, outcomes: readonly CreateOutcome[]): CreatedVmsBody {
  const items = outcomes.map((outcome, index): CreatedVmsBody['items'][number] => {
    if (outcome.status === 'placed') {
      const status = outcome.vm.state === 'waiting' ? 'waiting' : 'placed';
      return { index, status, vm: vmBodyFor(principal, vmBody(outcome.vm)) };
    }
    const { code, message, extra, errors } = errorFor(principal, outcome.error);
    return {
      index,
      status: 'refused',
      problem: {
        ...extra,
        code,
        detail: message,
        ...(errors === undefined ? {} : { errors: [...errors] }),
      },
    };
  });
  const so = (wanted: string) => items.filter(({ status }) => status === wanted).length;
  return { items, placed: so('placed'), waiting: so('waiting'), refused: so('refused') };
}
