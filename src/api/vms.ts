/** The handlers of `/v1/vms`, and how a VM is shown. */
import type { z } from 'zod';
import type { Constraints } from '../model/constraints.js';
import { DomainError } from '../model/errors.js';
import type { Vm } from '../model/vm.js';
import {
  WAIT_TIMEOUT_S,
  type CreateVmBody,
  type createVmQuerySchema,
  type VmBody,
  type vmListQuerySchema,
} from '../wire/vms.js';
import type { Answer, ApiPorts, Call } from './route.js';

interface VmParams {
  readonly id: string;
}

type BodilessCall = Call<VmParams, undefined, Readonly<Record<string, never>>>;

/** 202 either way: what is shown is how the VM is when the answer is given. */
export async function createVm(
  call: Call<undefined, z.infer<typeof createVmQuerySchema>, CreateVmBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  const { wait, timeout = WAIT_TIMEOUT_S } = call.query;
  const created = await control.createVm(call.body, call.log);
  if (wait === undefined) return accepted(created);
  return accepted(await control.waitForVm(created.id, timeout * 1000, call.untilGone()));
}

export async function listVms(
  { query }: Call<undefined, z.infer<typeof vmListQuerySchema>>,
  { catalogue }: ApiPorts,
): Promise<Answer> {
  const { limit, cursor = null, host, path, state } = query;
  const hostId = host === undefined ? undefined : await hostIdOf(host, catalogue);
  const page = await catalogue.vms({
    limit,
    cursor,
    ...(hostId === undefined ? {} : { hostId }),
    ...(path === undefined ? {} : { path }),
    ...(state === undefined ? {} : { state }),
  });
  return {
    status: 200,
    json: { items: page.items.map(vmBody), nextCursor: page.nextCursor },
  };
}

export async function getVm({ params }: Call<VmParams>, { catalogue }: ApiPorts): Promise<Answer> {
  const vm = await catalogue.vm(params.id);
  if (vm === null) throw new DomainError('not_found', `There is no VM ${params.id}.`);
  return { status: 200, json: vmBody(vm) };
}

export async function deleteVm(
  { params, log }: Call<VmParams>,
  { control }: ApiPorts,
): Promise<Answer> {
  return accepted(await control.deleteVm(params.id, log));
}

export async function startVm(
  { params, log }: BodilessCall,
  { control }: ApiPorts,
): Promise<Answer> {
  return accepted(await control.startVm(params.id, log));
}

export async function stopVm(
  { params, log }: BodilessCall,
  { control }: ApiPorts,
): Promise<Answer> {
  return accepted(await control.stopVm(params.id, log));
}

const accepted = (vm: Vm): Answer => ({ status: 202, json: vmBody(vm) });

/** A filter by a host that does not exist is a slip of the pen, not an empty list. */
async function hostIdOf(idOrName: string, catalogue: ApiPorts['catalogue']): Promise<string> {
  const host = await catalogue.host(idOrName);
  if (host !== null) return host.id;
  throw new DomainError('invalid_request', 'Some fields are not valid; see errors.', {
    errors: [{ field: 'host', message: 'must be the id or the name of a host' }],
  });
}

function constraintsBody({ exclude, ...rest }: Constraints): VmBody['constraints'] {
  return exclude === undefined ? rest : { ...rest, exclude: [...exclude] };
}

/** A VM as callers see it. */
export const vmBody = (vm: Vm): VmBody => ({
  id: vm.id,
  name: vm.name,
  path: vm.path,
  state: vm.state,
  desiredState: vm.desiredState,
  host: vm.host === null ? null : { id: vm.host.id, name: vm.host.name },
  allocation:
    vm.allocation === null
      ? null
      : { bookingId: vm.allocation.bookingId, assignment: vm.allocation.assignment },
  resources: vm.resources,
  image: vm.image,
  constraints: constraintsBody(vm.constraints),
  reason: vm.reason === null ? null : { code: vm.reason.code, detail: vm.reason.detail },
  attempts: vm.attempts.map(({ host, at, outcome, detail }) => ({
    host: { id: host.id, name: host.name },
    at: at.toISOString(),
    outcome,
    detail,
  })),
  createdAt: vm.createdAt.toISOString(),
  updatedAt: vm.updatedAt.toISOString(),
});
