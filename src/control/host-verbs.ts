/** What operators and agents say of hosts: settings, and reports that nobody asked for. */
import { DomainError } from '../model/errors.js';
import type { AgentStatus } from '../model/agent-report.js';
import { factsOf, type Host, type HostPatch } from '../model/host.js';
import type { Caller } from './caller.js';
import type { HealthLoop } from './health-loop.js';
import type { Ports } from './ports.js';
import type { Chore } from './upkeep-loop.js';

export interface HostVerbs {
  /**
   * Changes what an operator says of a host; placement goes by it at once.
   * @throws DomainError `not_found`, `state_conflict` when a mode is asked for and it is retired
   */
  patchHost(idOrName: string, patch: HostPatch, by: Caller): Promise<Host>;
  /**
   * Takes over what an agent says by itself, as if it had been asked.
   * @throws DomainError `not_found`
   */
  acceptStatus(status: AgentStatus): Promise<void>;
}

export const hostVerbs = (ports: Ports, health: HealthLoop): HostVerbs => ({
  async patchHost(idOrName, patch, { actor, log }) {
    const host = await ports.catalogue.patchHost(idOrName, patch, actor);
    if (host === null) throw new DomainError('not_found', `There is no host ${idOrName}.`);
    log.info('host settings', { hostId: host.id, ...patch });
    await showPlacement(ports, [host]);
    return host;
  },
  acceptStatus: (status) => health.acceptStatus(status),
});

/** Cordons end by themselves. */
export const cordonChore = (ports: Ports): Chore => ({
  name: 'end of cordons',
  everyMs: 1_000,
  async run() {
    const hosts = await ports.catalogue.endCordons();
    if (hosts.length === 0) return;
    ports.log.info('cordons ended', { hosts: hosts.map(({ name }) => name) });
    await showPlacement(ports, hosts);
  },
});

/** The catalogue allows or refuses bookings there already, and the health loop shows them again. */
export async function showPlacement({ ledger, log }: Ports, hosts: readonly Host[]): Promise<void> {
  await ledger.pushHosts(hosts.map(factsOf)).catch((error: unknown) => {
    log.warn('placement hears of it later', { hosts: hosts.map(({ id }) => id), error });
  });
}
