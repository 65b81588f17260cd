/** The catalogue's memory of Idempotency-Keys, kept in this process, for tests of the API. */
import { randomUUID } from 'node:crypto';
import type { IdempotencyStore, RequestName } from '../../src/model/stores/idempotency.js';

interface Row {
  readonly requestHash: string;
  readonly seed: string;
  lease: string | null;
  answer: { readonly status: number; readonly text: string } | null;
}

/** Leases never run out here: that they do, the contract of the catalogue shows. */
export function createIdempotencyDouble(): IdempotencyStore {
  const rows = new Map<string, Row>();
  const nameOf = ({ scope, key }: RequestName) => `${scope} ${key}`;
  const held = (name: RequestName, lease: string): Row | undefined => {
    const row = rows.get(nameOf(name));
    return row?.lease === lease ? row : undefined;
  };
  return {
    beginRequest(name, requestHash, lease) {
      const row = rows.get(nameOf(name));
      if (row === undefined) {
        const seed = randomUUID();
        rows.set(nameOf(name), { requestHash, seed, lease, answer: null });
        return Promise.resolve({ kind: 'begun', seed });
      }
      if (row.requestHash !== requestHash) return Promise.resolve({ kind: 'reused' });
      if (row.answer !== null) return Promise.resolve({ kind: 'answered', answer: row.answer });
      if (row.lease !== null) return Promise.resolve({ kind: 'in_progress' });
      row.lease = lease;
      return Promise.resolve({ kind: 'begun', seed: row.seed });
    },
    extendRequest: () => Promise.resolve(),
    keepAnswer(name, lease, answer) {
      const row = held(name, lease);
      if (row !== undefined) Object.assign(row, { answer, lease: null });
      return Promise.resolve();
    },
    reopenRequest(name, lease) {
      const row = held(name, lease);
      if (row !== undefined) row.lease = null;
      return Promise.resolve();
    },
    forgetRequest(name, lease) {
      if (held(name, lease) !== undefined) rows.delete(nameOf(name));
      return Promise.resolve();
    },
    purgeRequests() {
      const { size } = rows;
      rows.clear();
      return Promise.resolve(size);
    },
  };
}
