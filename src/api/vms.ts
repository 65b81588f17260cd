/** The handlers of `/v1/vms`, and how a VM is shown. */
import type { z } from 'zod';
import type { Constraints } from '../model/constraints.js';
import { DomainError } from '../model/errors.js';
import type { Vm } from '../model/vm.js';
import type { StopVmBody, VmBody, vmListQuerySchema } from '../wire/vms.js';
import type { Principal } from './principal.js';
import type { Answer, ApiPorts, Call } from './route.js';
import { pathWithin, refuseToTenants, visibleVm, vmBodyFor } from './tenancy.js';

interface VmParams {
  readonly id: string;
}

type BodilessCall = Call<VmParams, undefined, Readonly<Record<string, never>>>;

export async function listVms(
  { query, principal }: Call<undefined, z.infer<typeof vmListQuerySchema>>,
  { catalogue }: ApiPorts,
): Promise<Answer> {
  const { limit, cursor = null, host, state } = query;
  refuseToTenants(principal, host, 'host');
  const path = pathWithin(principal, query.path);
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
    json: {
      items: page.items.map((vm) => vmBodyFor(principal, vmBody(vm))),
      nextCursor: page.nextCursor,
    },
  };
}

export async function getVm(
  { params, principal }: Call<VmParams>,
  { catalogue }: ApiPorts,
): Promise<Answer> {
  const vm = visibleVm(principal, await catalogue.vm(params.id), params.id);
  return { status: 200, json: vmBodyFor(principal, vmBody(vm)) };
}

export async function deleteVm(
  call: Call<VmParams>,
  { control, catalogue }: ApiPorts,
): Promise<Answer> {
  await checkVisible(call, catalogue);
  return accepted(call.principal, await control.deleteVm(call.params.id, call.by));
}

export async function startVm(
  call: BodilessCall,
  { control, catalogue }: ApiPorts,
): Promise<Answer> {
  await checkVisible(call, catalogue);
  return accepted(call.principal, await control.startVm(call.params.id, call.by));
}

export async function stopVm(
  call: Call<VmParams, undefined, StopVmBody>,
  { control, catalogue }: ApiPorts,
): Promise<Answer> {
  await checkVisible(call, catalogue);
  return accepted(call.principal, await control.stopVm(call.params.id, call.by, call.body));
}

const accepted = (principal: Principal, vm: Vm): Answer => ({
  status: 202,
  json: vmBodyFor(principal, vmBody(vm)),
});

/** A VM never changes its path, so what was its caller's before the change still is. */
async function checkVisible(
  { params, principal }: Pick<Call<VmParams>, 'params' | 'principal'>,
  catalogue: ApiPorts['catalogue'],
): Promise<void> {
  if (principal.path === null) return;
  visibleVm(principal, await catalogue.vm(params.id), params.id);
}

/** A filter by a host that does not exist is a slip of the pen, not an empty list. */
async function hostIdOf(idOrName: string, catalogue: ApiPorts['catalogue']): Promise<string> {
  const host = await catalogue.host(idOrName);
  if (host !== null) return host.id;
  throw new DomainError('invalid_request', 'Some fields are not valid; see errors.', {
    errors: [{ field: 'host', message: 'must be the id or the name of a host' }],
  });
}

export const constraintsBody = ({
  exclude,
  groups,
  ...rest
}: Constraints): VmBody['constraints'] => ({
  ...rest,
  ...(groups === undefined ? {} : { groups: groups.map((rule) => ({ ...rule })) }),
  ...(exclude === undefined ? {} : { exclude: [...exclude] }),
});

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
  users: vm.users,
  constraints: constraintsBody(vm.constraints),
  onHostLoss: vm.onHostLoss,
  reason: vm.reason === null ? null : { code: vm.reason.code, detail: vm.reason.detail },
  attempts: vm.attempts.map(({ host, at, outcome, detail }) => ({
    host: { id: host.id, name: host.name },
    at: at.toISOString(),
    outcome,
    detail,
  })),
  violations: vm.violations.map((rule) => ({ ...rule })),
  waitUntil: vm.waitUntil?.toISOString() ?? null,
  createdAt: vm.createdAt.toISOString(),
  updatedAt: vm.updatedAt.toISOString(),
});
