/**
 * CPU lists and quotas as Linux writes them. A list is numbers and ranges with commas between them:
 * `0-3,8,10-11`.
 */

/** More numbers than any machine has CPUs: a list beyond it is no list. */
const CPUS_MAX = 65_536;

/**
 * Numbers of the CPUs in a list; what is named twice counts once.
 * @throws Error when it is no list, or an empty one
 */
export function parseCpuList(text: string): ReadonlySet<number> {
  const cpus = new Set<number>();
  for (const part of text.trim().split(',')) {
    const [, from, to = from] = /^([0-9]{1,6})(?:-([0-9]{1,6}))?$/.exec(part) ?? [];
    const first = Number(from);
    const last = Number(to);
    if (from === undefined || last < first || last >= CPUS_MAX) {
      throw new Error('the list of CPUs is not one such as 0-3,8');
    }
    for (let cpu = first; cpu <= last; cpu += 1) cpus.add(cpu);
  }
  return cpus;
}

/**
 * CPUs that a quota is worth: time per period, such as `200000 100000` for two. Null when there is
 * none (`max`, -1), or when it is not written as one.
 */
export function parseCpuQuota(text: string): number | null {
  const [, quota, period] = /^([0-9]{1,15})\s+([0-9]{1,15})\s*$/.exec(text.trim()) ?? [];
  const share = Number(quota) / Number(period);
  return Number.isFinite(share) && share > 0 ? share : null;
}
