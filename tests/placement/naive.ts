/**
 * The formulas of placement, written again as plainly as can be: arrays of objects, one loop per
 * sentence of the contract. Shares no code with src/placement; the property test compares the two.
 */
type Amounts = Readonly<Record<string, number>>;

type Policy = 'affinity' | 'anti-affinity' | 'soft-affinity' | 'soft-anti-affinity';

export interface NaiveHost {
  readonly id: string;
  readonly seq: number;
  readonly open: boolean;
  readonly zone: string;
  readonly total: Amounts;
  readonly overcommit: Amounts;
  readonly reservePct: Amounts;
  readonly allocated: Amounts;
  /** What the VMs here want of their groups. */
  readonly members: readonly NaiveRule[];
}

export interface NaiveRule {
  readonly name: string;
  readonly policy: Policy;
}

export interface NaiveRequest {
  readonly resources: Amounts;
  readonly zone: string | null;
  readonly groups: readonly NaiveRule[];
}

export interface NaiveRanking {
  readonly strategy: 'cosine' | 'best-fit' | 'worst-fit' | 'first-fit';
  readonly weights: readonly number[];
}

const CLASSES = ['cpu', 'memory', 'disk'] as const;

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

export const naiveCapacity = (host: NaiveHost, name: string): number =>
  (host.total[name] ?? 0) * (host.overcommit[name] ?? 1);

export function naiveLimit(host: NaiveHost, name: string): number {
  const total = host.total[name] ?? 0;
  const reserved = Math.ceil(total * (host.reservePct[name] ?? 0));
  return Math.max(0, Math.floor((total - reserved) * (host.overcommit[name] ?? 1)));
}

/** Why a host may not take a request, in the order of the codes. Amounts are told where a class is short. */
export function naiveReasons(
  hosts: readonly NaiveHost[],
  host: NaiveHost,
  request: NaiveRequest,
): readonly NaiveReason[] {
  const reasons: NaiveReason[] = [];
  if (!host.open) reasons.push({ code: 'host_suspect' });
  if (request.zone !== null && host.zone !== request.zone) reasons.push({ code: 'zone' });
  const over = Object.entries(host.allocated).some(
    ([name, amount]) => amount > naiveLimit(host, name),
  );
  if (over) reasons.push({ code: 'over_full' });
  for (const rule of request.groups) {
    const here = host.members.filter(({ name }) => name === rule.name);
    const anywhere = hosts.some(({ members }) => members.some(({ name }) => name === rule.name));
    const isAlone = here.some(({ policy }) => policy === 'anti-affinity');
    if (isAlone || (rule.policy === 'anti-affinity' && here.length > 0)) {
      reasons.push({ code: 'anti_affinity', group: rule.name });
    } else if (rule.policy === 'affinity' && anywhere && here.length === 0) {
      reasons.push({ code: 'affinity', group: rule.name });
    }
  }
  for (const [resource, requested] of Object.entries(request.resources)) {
    const limit = naiveLimit(host, resource);
    const available = Math.max(0, limit - (host.allocated[resource] ?? 0));
    if (requested === 0 || requested <= limit - (host.allocated[resource] ?? 0)) continue;
    reasons.push({ code: 'insufficient', resource, requested, available, limit });
  }
  return reasons;
}

export interface NaiveReason {
  readonly code: string;
  readonly group?: string;
  readonly resource?: string;
  readonly requested?: number;
  readonly available?: number;
  readonly limit?: number;
}

/** Soft rules that the host would break. */
export function naiveViolations(
  hosts: readonly NaiveHost[],
  host: NaiveHost,
  groups: readonly NaiveRule[],
): readonly NaiveRule[] {
  return groups.filter((rule) => {
    const here = host.members.filter(({ name }) => name === rule.name).length;
    const anywhere = hosts.some(({ members }) => members.some(({ name }) => name === rule.name));
    if (rule.policy === 'soft-anti-affinity') return here > 0;
    return rule.policy === 'soft-affinity' && anywhere && here === 0;
  });
}

function remaining(host: NaiveHost): number[] {
  return CLASSES.map((name) => {
    const capacity = naiveCapacity(host, name);
    const left = capacity - (host.allocated[name] ?? 0);
    return capacity <= 0 || left < 0 ? 0 : left / capacity;
  });
}

function naiveCosine(host: NaiveHost, asked: Amounts, weights: readonly number[]): number {
  const rem = remaining(host);
  if (rem.some((value) => value <= 0)) return -1;
  const req = CLASSES.map((name) => {
    const capacity = naiveCapacity(host, name);
    return capacity <= 0 ? 0 : (asked[name] ?? 0) / capacity;
  });
  const w = (index: number) => weights[index] ?? 1;
  const dot = sum(rem.map((value, i) => w(i) * value * (req[i] ?? 0)));
  const remNorm = Math.sqrt(sum(rem.map((value, i) => w(i) * value * value)));
  const reqNorm = Math.sqrt(sum(req.map((value, i) => w(i) * value * value)));
  return remNorm * reqNorm === 0 ? 0 : dot / (remNorm * reqNorm);
}

function naiveLeftover(
  hosts: readonly NaiveHost[],
  host: NaiveHost,
  asked: Amounts,
  weights: readonly number[],
): number {
  const parts = CLASSES.map((name, index) => {
    const largest = Math.max(...hosts.map((each) => naiveCapacity(each, name)));
    const left = naiveCapacity(host, name) - (host.allocated[name] ?? 0) - (asked[name] ?? 0);
    return largest <= 0 || left < 0 ? 0 : (weights[index] ?? 1) * (left / largest);
  });
  return sum(weights) === 0 ? 0 : sum(parts) / sum(weights);
}

export function naiveScore(
  hosts: readonly NaiveHost[],
  host: NaiveHost,
  asked: Amounts,
  { strategy, weights }: NaiveRanking,
): number {
  if (strategy === 'first-fit') return host.seq === 0 ? 0 : -host.seq;
  if (strategy === 'cosine') return naiveCosine(host, asked, weights);
  const left = naiveLeftover(hosts, host, asked, weights);
  if (strategy === 'worst-fit') return left;
  return left === 0 ? 0 : -left;
}

/** The id of the host that the contract chooses, or null. */
export function naiveChoice(
  hosts: readonly NaiveHost[],
  request: NaiveRequest,
  ranking: NaiveRanking,
): string | null {
  const length = (host: NaiveHost) => Math.sqrt(sum(remaining(host).map((value) => value * value)));
  const violations = (host: NaiveHost) => naiveViolations(hosts, host, request.groups).length;
  const score = (host: NaiveHost) => naiveScore(hosts, host, request.resources, ranking);
  const ranked = hosts
    .filter((host) => naiveReasons(hosts, host, request).length === 0)
    .sort(
      (a, b) =>
        violations(a) - violations(b) ||
        score(b) - score(a) ||
        length(b) - length(a) ||
        a.seq - b.seq,
    );
  return ranked[0]?.id ?? null;
}
