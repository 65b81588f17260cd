/**
 * A fenced host that is back is told what is no longer its own; then its fence ends. It is told of
 * every VM that the fence took away, whether it has it or not: an order from before that is still on
 * its way must not bring it.
 */
import pLimit from 'p-limit';
import { BERTH } from '../model/actor.js';
import { DomainError } from '../model/errors.js';
import type { AgentContact } from '../model/ports.js';
import type { FencedVm } from '../model/stores/fences.js';
import type { Ports } from './ports.js';

/** Removals that one host is asked for at a time. */
const TOLD_AT_ONCE = 8;

/**
 * Tells a host that answers. To be called again at its next answer when not everything is gone yet.
 * @returns whether its fence was lifted
 */
export async function tellFenced(ports: Ports, contact: AgentContact): Promise<boolean> {
  const { catalogue, log } = ports;
  const { hostId } = contact;
  // Read first: what a later fence takes away does not end with this one.
  const fence = (await catalogue.host(hostId))?.fence ?? null;
  if (fence === null) return false;
  const lost = await catalogue.fencedVms(hostId);
  const gone = await sendAll(ports, contact, lost);
  if (gone.length > 0) {
    await catalogue.forgetFencedVms(hostId, gone);
    log.info('fenced host has VMs no more', { hostId, vms: gone.map(({ vmId }) => vmId) });
  }
  if (gone.length < lost.length || !(await catalogue.liftFence(hostId, fence.at, BERTH))) {
    return false;
  }
  log.info('fence lifted: the host is back and knows what it lost', { hostId });
  return true;
}

/** @returns those that the host will never run under these numbers */
async function sendAll(
  ports: Ports,
  contact: AgentContact,
  lost: readonly FencedVm[],
): Promise<readonly FencedVm[]> {
  const limit = pLimit(TOLD_AT_ONCE);
  const gone: FencedVm[] = [];
  let isAway = false;
  const send = async (vm: FencedVm) => {
    if (isAway) return;
    try {
      if (await isGone(ports, contact, vm)) gone.push(vm);
    } catch (error) {
      // The others would only wait for the same silence.
      isAway = true;
      ports.log.debug('a fenced host is told again at its next answer', { ...vm, error });
    }
  };
  await Promise.all(lost.map((vm) => limit(() => send(vm))));
  return gone;
}

async function isGone(
  { agents }: Ports,
  contact: AgentContact,
  { vmId, assignment }: FencedVm,
): Promise<boolean> {
  try {
    return await agents.removeVm(contact, vmId, assignment);
  } catch (error) {
    // It knows a newer number, so it obeys none that is as old as this.
    if (error instanceof DomainError && error.code === 'stale_assignment') return true;
    throw error;
  }
}
