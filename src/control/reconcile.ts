/**
 * A host's report against the catalogue: what is recorded there and missing, what runs there and is
 * not recorded. The catalogue counts the strikes and says what follows; this carries it out.
 */
import type { AgentStatus } from '../model/agent-report.js';
import { factsOf, type Host } from '../model/host.js';
import type { VmsReport } from '../model/ports.js';
import type { ReportReading } from '../model/stores/orphans.js';
import type { Ports } from './ports.js';

/**
 * Whose reports are to be taken over: most say nothing new, and one question for many of them is
 * cheaper than to take each over.
 * @returns ids of hosts
 */
export async function withNews(
  { catalogue, log }: Ports,
  reports: readonly VmsReport[],
): Promise<ReadonlySet<string>> {
  if (reports.length === 0) return new Set();
  try {
    return await catalogue.reportsWithNews(reports);
  } catch (error) {
    // One that cannot be compared must not keep the others from being heard.
    log.debug('reports are taken over without being compared', { error });
    return new Set(reports.map(({ hostId }) => hostId));
  }
}

/**
 * Takes a report over, whether it was asked for or not.
 * @returns how many recorded VMs changed
 */
export async function reconcile(
  ports: Ports,
  hostId: string,
  status: AgentStatus,
  reading: ReportReading,
): Promise<number> {
  const { catalogue, log } = ports;
  const changed = await catalogue.reportVms(hostId, status, status.vms, reading);
  const { host, leaving } = await catalogue.noteStrangers(
    hostId,
    status,
    status.vms,
    reading.askedAt,
  );
  if (host !== null) {
    log.warn('room taken by VMs without a record has changed', { hostId, orphaned: host.orphaned });
    await showRoom(ports, host);
  }
  for (const { vmId, assignment } of leaving) {
    // Beside the reports of the other hosts: an agent may take its time.
    sendAway(ports, hostId, vmId, assignment).catch((error: unknown) => {
      log.debug('an orphan is told to go again at the next report', { hostId, vmId, error });
    });
  }
  return changed;
}

/**
 * Tells a host to have an orphan no more. An order that its agent has taken is carried out even if
 * the agent dies over it.
 * @returns whether it is proven gone
 */
export async function sendAway(
  ports: Ports,
  hostId: string,
  vmId: string,
  assignment: number,
): Promise<boolean> {
  const { agents, catalogue, log } = ports;
  const [contact] = await catalogue.contacts(hostId);
  if (contact === undefined || !(await agents.removeVm(contact, vmId, assignment))) return false;
  log.info('orphan gone', { hostId, vmId });
  const host = await catalogue.forgetOrphan(hostId, vmId);
  if (host !== null) await showRoom(ports, host);
  return true;
}

/** The catalogue goes by the new limits already; the health loop shows them again. */
async function showRoom({ ledger, log }: Ports, host: Host): Promise<void> {
  await ledger.pushHosts([factsOf(host)]).catch((error: unknown) => {
    log.debug('placement hears of the room later', { hostId: host.id, error });
  });
}
