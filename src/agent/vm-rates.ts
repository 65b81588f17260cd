/**
 * How fast a VM may use network and disk. What was asked for is counted and kept; who asked for
 * nothing gets a share by its CPUs, which is not counted, so that it never keeps another VM away:
 *
 *   share = floor(vCPUs × capacity ÷ CPUs of the host), at most the capacity
 *
 * Where the capacity is unknown there is no limit. Pure.
 */
import type { MeasuredTotal } from '../model/inventory.js';
import type { MeasuredTotals } from '../model/agent-report.js';
import type { HostSettings } from './host-settings.js';
import type { VmRates } from './vm-parts.js';
import type { VmRecord } from './vm-store.js';

/** @returns bytes per second; null is no limit */
export function shareOf(vcpus: number, cpus: number, capacity: number): number | null {
  if (cpus <= 0 || capacity <= 0) return null;
  const share = Math.min(capacity, Math.floor((vcpus * capacity) / cpus));
  return share > 0 ? share : null;
}

export function ratesOf(
  { resources, bandwidth }: Pick<VmRecord, 'resources' | 'bandwidth'>,
  totals: MeasuredTotals,
  burst: HostSettings['burst'],
): VmRates {
  const vcpus = resources.cpu ?? 0;
  const share = (entry: MeasuredTotal | undefined) =>
    shareOf(vcpus, totals.cpu?.total ?? 0, entry?.total ?? 0);
  const asked = (amount: number | undefined) => (amount === 0 ? undefined : amount);
  const network = asked(resources.network) ?? share(totals.network);
  return {
    downloadBytesPerS: bandwidth?.download ?? network,
    uploadBytesPerS: bandwidth?.upload ?? network,
    diskIoBytesPerS: asked(resources.disk_io) ?? share(totals.disk_io),
    downloadBurst: burst.download,
    uploadBurst: burst.upload,
    diskIoBurst: burst.diskIo,
  };
}
