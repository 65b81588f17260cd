/** What ledger and catalogue must agree on, and the named leases of replicas. */
import type { Catalogue } from '../../model/ports.js';
import { answered, type Tables } from './tables.js';
import { allocationOf, hostOf, hostsInService } from './views.js';

type AgreementPart = Pick<
  Catalogue,
  | 'epoch'
  | 'nextEpoch'
  | 'agree'
  | 'snapshot'
  | 'recordedBookings'
  | 'pendingReleases'
  | 'settleReleases'
>;

export const agreementOf = (tables: Tables): AgreementPart => ({
  epoch: () => answered(tables, () => ({ ...tables.agreement })),

  nextEpoch: (above) =>
    answered(tables, () => {
      const { epoch, highWater } = tables.agreement;
      const next = Math.max(epoch, above) + 1;
      tables.agreement = { epoch: next, incarnation: null, highWater };
      return next;
    }),

  agree: (epoch, incarnation) =>
    answered(tables, () => {
      if (tables.agreement.epoch !== epoch) return false;
      tables.agreement = { ...tables.agreement, incarnation };
      return true;
    }),

  snapshot: () =>
    answered(tables, () => ({
      hosts: hostsInService(tables).map((row) => hostOf(tables, row)),
      allocations: [...tables.allocations.rows()].map(allocationOf),
    })),

  recordedBookings: (bookingIds) =>
    answered(tables, () => {
      const found = new Map<string, number>();
      for (const bookingId of bookingIds) {
        const allocation = tables.allocations.get(bookingId);
        if (allocation !== undefined) found.set(bookingId, allocation.assignment);
      }
      return found;
    }),

  pendingReleases: (olderThanMs, limit) =>
    answered(tables, () => {
      const before = tables.now() - olderThanMs;
      return [...tables.pendingReleases.rows()]
        .filter(({ createdAt }) => createdAt <= before)
        .sort((left, right) => left.createdAt - right.createdAt)
        .slice(0, limit)
        .map(({ bookingId, vmId, hostId }) => ({ bookingId, vmId, hostId }));
    }),

  settleReleases: (bookingIds) =>
    answered(tables, () => {
      for (const bookingId of bookingIds) tables.pendingReleases.delete(bookingId);
    }),
});

export const leasesOf = (tables: Tables): Pick<Catalogue, 'acquireLease' | 'releaseLease'> => ({
  acquireLease: (name, holder, ttlMs) =>
    answered(tables, () => {
      const now = tables.now();
      const lease = tables.leases.get(name);
      if (lease !== undefined && lease.holder !== holder && lease.until >= now) return false;
      tables.leases.put(name, { holder, until: now + ttlMs });
      return true;
    }),

  releaseLease: (name, holder) =>
    answered(tables, () => {
      if (tables.leases.get(name)?.holder === holder) tables.leases.delete(name);
    }),
});
