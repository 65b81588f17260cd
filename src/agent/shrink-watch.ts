/** Tells the log when a machine has less than before: what is booked on it may have lost its room. */
import type { Log } from '../model/ports.js';
import { isUnknown } from '../model/inventory.js';
import type { MeasuredTotals } from '../model/agent-report.js';
import { unitOf } from '../model/resources.js';

/** @returns to be told of each measurement in turn */
export function createShrinkWatch(log: Log): (totals: MeasuredTotals) => void {
  let before: MeasuredTotals = {};
  return (totals) => {
    for (const [resource, { total }] of Object.entries(before)) {
      const now = totals[resource];
      if (now !== undefined && !isUnknown(now) && now.total >= total) continue;
      if (total === 0) continue;
      log.warn('this machine has less than before', {
        ...{ resource, before: total, now: now?.total ?? 0, unit: unitOf(resource) },
        source: now?.source ?? 'unknown',
      });
    }
    before = totals;
  };
}
