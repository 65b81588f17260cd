/** Delete, start, stop: note what is wanted; the lifecycle loop does it. */
import { DomainError } from '../model/errors.js';
import type { DesiredState, Vm } from '../model/vm.js';
import type { Caller } from './caller.js';
import type { Ports } from './ports.js';

/** @throws DomainError `not_found`, `state_conflict` */
export async function wantVm(
  ports: Ports,
  id: string,
  desired: DesiredState,
  { actor, log }: Caller,
): Promise<Vm> {
  const vm = await ports.catalogue.want(id, desired, actor);
  if (vm === null) throw noSuchVm(id);
  if (desired === 'deleted') ports.checkpoint('delete:marked');
  log.info('vm wanted', { vmId: id, desiredState: desired, state: vm.state });
  return vm;
}

export const noSuchVm = (id: string): DomainError =>
  new DomainError('not_found', `There is no VM ${id}.`);
