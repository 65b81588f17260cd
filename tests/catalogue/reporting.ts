/** Reports of hosts, told to a catalogue as a poll or a push does: numbered, of machine and VMs. */
import type { AgentVm } from '../../src/model/agent-report.js';
import type { Host } from '../../src/model/host.js';
import type { Catalogue } from '../../src/model/ports.js';
import type { ReportReading, StrangersNoted } from '../../src/model/stores/orphans.js';
import type { Vm } from '../../src/model/vm.js';

let report = 1_000_000;

const totalsOf = ({ inventory }: Pick<Host, 'inventory'>) =>
  Object.fromEntries(
    Object.entries(inventory).map(([resource, { total, source }]) => [resource, { total, source }]),
  );

/** One more report of a host. @returns how many VMs changed, and what it makes of strangers */
export async function tell(
  catalogue: Catalogue,
  host: Pick<Host, 'id' | 'inventory'>,
  vms: readonly AgentVm[],
  reading: Partial<ReportReading> = {},
): Promise<StrangersNoted & { readonly changed: number }> {
  report += 1;
  const number = { bootId: 'boot-1', report };
  const facts = { totals: totalsOf(host), used: {}, version: '1', ...number };
  await catalogue.saveHostReport(host.id, facts);
  const { onMissing = 'mark', askedAt = null } = reading;
  const isNews = await catalogue.reportsWithNews([{ ...number, hostId: host.id, vms, askedAt }]);
  const changed = await catalogue.reportVms(host.id, number, vms, { onMissing, askedAt });
  const noted = await catalogue.noteStrangers(host.id, number, vms, askedAt);
  const isChange = changed > 0 || noted.host !== null || noted.leaving.length > 0;
  if (isChange && !isNews.has(host.id)) throw new Error(`${host.id} was not said to have news`);
  return { changed, ...noted };
}

/** What a host says of a VM that is recorded on it. */
export const saysOf = (
  vm: Vm,
  state: AgentVm['state'],
  reason: AgentVm['reason'] = null,
): AgentVm => ({
  id: vm.id,
  assignment: vm.allocation!.assignment,
  state,
  resources: vm.resources,
  reason,
});
