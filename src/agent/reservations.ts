/**
 * Room that is promised and not yet written down. Each promise is a lease: work that never ends gives
 * its room back by itself. In memory only, for what was not written down was not promised to anybody.
 */
import type { Clock } from '../model/ports.js';
import type { Resources } from '../model/resources.js';

export interface Lease {
  /** Whether the room is still kept. */
  isLive(): boolean;
  /** Gives the room back; may be repeated. */
  end(): void;
}

export interface Reservations {
  /** Keeps room for a VM, in place of what was kept for it before. */
  take(vmId: string, amounts: Resources): Lease;
  /** What is kept now, by VM. */
  held(): ReadonlyMap<string, Resources>;
}

export function createReservations(clock: Pick<Clock, 'monotonic'>, leaseMs: number): Reservations {
  const leases = new Map<string, { readonly amounts: Resources; readonly endsAt: number }>();
  return {
    take(vmId, amounts) {
      const lease = { amounts, endsAt: clock.monotonic() + leaseMs };
      leases.set(vmId, lease);
      return {
        isLive: () => leases.get(vmId) === lease && clock.monotonic() < lease.endsAt,
        end() {
          if (leases.get(vmId) === lease) leases.delete(vmId);
        },
      };
    },
    held() {
      const now = clock.monotonic();
      const held = new Map<string, Resources>();
      for (const [vmId, { amounts, endsAt }] of leases) {
        if (now < endsAt) held.set(vmId, amounts);
        else leases.delete(vmId);
      }
      return held;
    },
  };
}
