/** What an operator says of a host that is lost: that it is off, so that its VMs may run elsewhere. */
import { DomainError } from '../model/errors.js';
import type { Host } from '../model/host.js';
import type { Caller } from './caller.js';
import { releaseInLedger } from './drain-verbs.js';
import { showPlacement } from './host-verbs.js';
import type { Ports } from './ports.js';

export interface FenceVerbs {
  /**
   * Takes the operator's word that a host is off, for good or for a while: its VMs go on as each
   * one's `onHostLoss` says. Nobody but an operator can know it. A repeat changes nothing.
   * @throws DomainError `not_found`; `state_conflict` when it is up or retired
   */
  fenceHost(idOrName: string, reason: string, by: Caller): Promise<Host>;
}

/** @param onWork called when VMs have work to do */
export const fenceVerbs = (ports: Ports, onWork: () => void): FenceVerbs => ({
  async fenceHost(idOrName, reason, { actor, log }) {
    const fenced = await ports.catalogue.fenceHost(idOrName, reason, actor);
    if (fenced === null) throw new DomainError('not_found', `There is no host ${idOrName}.`);
    const { host, released } = fenced;
    log.warn('host fenced', { hostId: host.id, released: released.length, reason });
    await releaseInLedger(ports, released, log);
    await showPlacement(ports, [host]);
    onWork();
    return host;
  },
});
