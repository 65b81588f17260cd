/**
 * Ends a VM without asking its guest. That it is to be stopped is written down before, so the
 * lifecycle stops it in good order wherever the forced stop does not get through.
 */
import type { Vm } from '../model/vm.js';
import type { Caller } from './caller.js';
import type { Ports } from './ports.js';

/**
 * Does nothing to a VM that is on no host, or that its host does not have yet.
 * @throws DomainError `agent_unreachable`, `agent_refused`, `stale_assignment`
 */
export async function forceStop(
  { catalogue, agents }: Pick<Ports, 'catalogue' | 'agents'>,
  { id, path, host, allocation }: Vm,
  { actor, log }: Caller,
): Promise<void> {
  const [contact] = host === null ? [] : await catalogue.contacts(host.id);
  if (contact === undefined || allocation === null) return;
  // What a guest had not written to its disk may be lost: who wanted that is kept.
  const wanted = { desiredState: 'stopped' };
  const change = { before: wanted, after: { ...wanted, force: true } };
  await catalogue.note(actor, 'vm.stop', { kind: 'vm', id, path }, change);
  const seen = await agents.stopVm(contact, id, allocation.assignment, { force: true });
  log.info('vm stopped by force', { vmId: id, hostId: contact.hostId, seen: seen?.state ?? null });
}
