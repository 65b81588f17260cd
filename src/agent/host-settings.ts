/**
 * What the operator of a host says of it to its agent: instead of measuring, or above it. Nothing
 * is said by default. See docs/agent-resources.md.
 */
import type { MeasuredTotals } from '../model/agent-report.js';
import type { Resources } from '../model/resources.js';

export interface HostSettings {
  /** Factor per class, before that of the policy; 1 sells nothing twice. */
  readonly overcommit: Resources;
  /** What all VMs together may have at most, per class. */
  readonly maxInAll: Resources;
  /** What one VM may have at most, per class. */
  readonly maxPerVm: Resources;
  readonly diskLimitBytes?: number | undefined;
  readonly networkBytesPerS?: number | undefined;
  readonly diskIoBytesPerS?: number | undefined;
  /** Interface instead of that of the default route. */
  readonly uplink?: string | undefined;
  /** How many times its rate a VM may take for a moment. */
  readonly burst: { readonly download: number; readonly upload: number; readonly diskIo: number };
  /** Share (0 to 1) of the disk that images and their cache may take. */
  readonly imageShare: number;
}

export const DEFAULT_HOST_SETTINGS: HostSettings = {
  overcommit: {},
  maxInAll: {},
  maxPerVm: {},
  burst: { download: 4, upload: 4, diskIo: 4 },
  imageShare: 0.2,
};

/** Totals with the host's own factors and limits on them, as they are told to the control plane. */
export function underSettings(
  totals: MeasuredTotals,
  { overcommit, maxInAll }: Pick<HostSettings, 'overcommit' | 'maxInAll'>,
): MeasuredTotals {
  return Object.fromEntries(
    Object.entries(totals).map(([resource, entry]) => {
      const factor = overcommit[resource];
      const max = maxInAll[resource];
      const said = {
        ...entry,
        ...(factor === undefined ? {} : { overcommit: factor }),
        ...(max === undefined ? {} : { max }),
      };
      return [resource, said];
    }),
  );
}
