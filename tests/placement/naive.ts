/**
 * The formulas of placement, written again as plainly as can be: arrays of objects, one loop per
 * sentence of the contract. Shares no code with src/placement; the property test compares the two.
 */
export interface NaiveHost {
  readonly id: string;
  readonly seq: number;
  readonly open: boolean;
  readonly zone: string;
  readonly total: Readonly<Record<string, number>>;
  readonly overcommit: Readonly<Record<string, number>>;
  readonly reservePct: Readonly<Record<string, number>>;
  readonly allocated: Readonly<Record<string, number>>;
}

const CLASSES = ['cpu', 'memory', 'disk'] as const;

export const naiveCapacity = (host: NaiveHost, name: string): number =>
  (host.total[name] ?? 0) * (host.overcommit[name] ?? 1);

export function naiveLimit(host: NaiveHost, name: string): number {
  const total = host.total[name] ?? 0;
  const reserved = Math.ceil(total * (host.reservePct[name] ?? 0));
  return Math.max(0, Math.floor((total - reserved) * (host.overcommit[name] ?? 1)));
}

function feasible(host: NaiveHost, request: Record<string, number>, zone: string | null): boolean {
  if (!host.open) return false;
  if (zone !== null && host.zone !== zone) return false;
  return Object.entries(request).every(
    ([name, amount]) =>
      amount === 0 || (host.allocated[name] ?? 0) + amount <= naiveLimit(host, name),
  );
}

function remaining(host: NaiveHost): number[] {
  return CLASSES.map((name) => {
    const capacity = naiveCapacity(host, name);
    const left = capacity - (host.allocated[name] ?? 0);
    return capacity <= 0 || left < 0 ? 0 : left / capacity;
  });
}

export function naiveScore(
  host: NaiveHost,
  request: Record<string, number>,
  weights: readonly number[],
): number {
  const rem = remaining(host);
  if (rem.some((value) => value <= 0)) return -1;
  const req = CLASSES.map((name) => {
    const capacity = naiveCapacity(host, name);
    return capacity <= 0 ? 0 : (request[name] ?? 0) / capacity;
  });
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  const w = (index: number) => weights[index] ?? 1;
  const dot = sum(rem.map((value, i) => w(i) * value * (req[i] ?? 0)));
  const remNorm = Math.sqrt(sum(rem.map((value, i) => w(i) * value * value)));
  const reqNorm = Math.sqrt(sum(req.map((value, i) => w(i) * value * value)));
  return remNorm * reqNorm === 0 ? 0 : dot / (remNorm * reqNorm);
}

/** The id of the host that the contract chooses, or null. */
export function naiveChoice(
  hosts: readonly NaiveHost[],
  request: Record<string, number>,
  weights: readonly number[],
  zone: string | null = null,
): string | null {
  const length = (host: NaiveHost) =>
    Math.sqrt(remaining(host).reduce((total, value) => total + value * value, 0));
  const ranked = hosts
    .filter((host) => feasible(host, request, zone))
    .sort(
      (a, b) =>
        naiveScore(b, request, weights) - naiveScore(a, request, weights) ||
        length(b) - length(a) ||
        a.seq - b.seq,
    );
  return ranked[0]?.id ?? null;
}
