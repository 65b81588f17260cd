/** The memory of requests with an Idempotency-Key, in the catalogue's double. */
import type {
  IdempotencyStore,
  RequestBeginning,
  RequestName,
} from '../../model/stores/idempotency.js';
import type { RequestRow } from './rows.js';
import { answered, type Tables } from './tables.js';

export const idempotencyOf = (tables: Tables): IdempotencyStore => {
  /** Changes a request that is being answered under this lease. */
  const change = (name: RequestName, lease: string, changes: () => Partial<RequestRow>) =>
    answered(tables, () => {
      const row = tables.requests.get(keyOf(name));
      if (row?.leaseOwner === lease) tables.requests.put(keyOf(name), { ...row, ...changes() });
    });
  return {
    beginRequest: (name, requestHash, lease, leaseMs) =>
      answered(tables, () => begin(tables, keyOf(name), requestHash, lease, leaseMs)),

    extendRequest: (name, lease, leaseMs) =>
      change(name, lease, () => ({ leaseUntil: tables.now() + leaseMs })),

    keepAnswer: (name, lease, { status, text }) =>
      change(name, lease, () => ({ answer: { status, text }, ...FREE })),

    reopenRequest: (name, lease) => change(name, lease, () => FREE),

    forgetRequest: (name, lease) =>
      answered(tables, () => {
        const row = tables.requests.get(keyOf(name));
        if (row?.leaseOwner === lease) tables.requests.delete(keyOf(name));
      }),

    purgeRequests: (olderThanMs) =>
      answered(tables, () => {
        const now = tables.now();
        const isOld = ({ createdAt, leaseUntil }: RequestRow) =>
          createdAt < now - olderThanMs && (leaseUntil === null || leaseUntil < now);
        const old = [...tables.requests.rows()].filter(isOld);
        for (const { key } of old) tables.requests.delete(key);
        return old.length;
      }),
  };
};

const FREE = { leaseOwner: null, leaseUntil: null } as const;

const keyOf = ({ scope, key }: RequestName): string => JSON.stringify([scope, key]);

function begin(
  tables: Tables,
  key: string,
  requestHash: string,
  lease: string,
  leaseMs: number,
): RequestBeginning {
  const now = tables.now();
  const known = tables.requests.get(key);
  const leased = { leaseOwner: lease, leaseUntil: now + leaseMs };
  if (known === undefined) {
    const seed = tables.newId();
    tables.requests.put(key, { key, requestHash, seed, ...leased, answer: null, createdAt: now });
    return { kind: 'begun', seed };
  }
  if (known.requestHash !== requestHash) return { kind: 'reused' };
  if (known.answer !== null) return { kind: 'answered', answer: { ...known.answer } };
  if (known.leaseUntil !== null && known.leaseUntil >= now) return { kind: 'in_progress' };
  tables.requests.put(key, { ...known, ...leased });
  return { kind: 'begun', seed: known.seed };
}
