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
  readonly strategy:
    | 'cosine'
    | 'balanced-fit'
    | 'cosine-banded'
    | 'stranding'
    | 'best-fit'
    | 'k8s-balanced'
    | 'worst-fit'
    | 'first-fit';
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

/** How many hosts each reason keeps away, and of those that lack room only the one that lacks least. */
export function naiveSummary(hosts: readonly NaiveHost[], request: NaiveRequest) {
  const judged = hosts.map((host) => ({ host, reasons: naiveReasons(hosts, host, request) }));
  const byReason: Record<string, number> = {};
  for (const { reasons } of judged) {
    for (const code of new Set(reasons.map((one) => one.code))) {
      byReason[code] = (byReason[code] ?? 0) + 1;
    }
  }
  const feasible = judged.filter(({ reasons }) => reasons.length === 0).length;
  const lackOf = ({ requested = 0, available = 0 }: NaiveReason) => requested - available;
  const [nearest] = judged
    .filter(({ reasons }) => feasible === 0 && reasons.every(({ code }) => code === 'insufficient'))
    .map(({ host, reasons }) => ({
      host: { id: host.id, name: host.id },
      seq: host.seq,
      lack: sum(reasons.map((one) => lackOf(one) / Math.max(1, one.limit ?? 0))),
      missing: Object.fromEntries(reasons.map((one) => [one.resource ?? '', lackOf(one)] as const)),
    }))
    .sort((a, b) => a.lack - b.lack || a.seq - b.seq);
  return {
    considered: hosts.length,
    feasible,
    byReason,
    nearest: nearest === undefined ? null : { host: nearest.host, missing: nearest.missing },
  };
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
  if (rem.some((value, index) => value <= 0 && (weights[index] ?? 1) > 0)) return -1;
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

/** Nearest billionth; nothing is 0 and not −0. */
const toNano = (value: number) => Math.round(value * 1e9) / 1e9 + 0;

/** The classes that count, each with its weight (1 on average), mean capacity, sum and use. */
function naiveClasses(hosts: readonly NaiveHost[], weights: readonly number[]) {
  const counted = CLASSES.map((name, index) => {
    const capacities = hosts.map((each) => naiveCapacity(each, name)).filter((one) => one > 0);
    const capacity = sum(capacities);
    const used = sum(hosts.map((each) => each.allocated[name] ?? 0));
    const use = Math.round(256 * Math.min(1, capacity === 0 ? 0 : used / capacity)) / 256;
    return { name, weight: weights[index] ?? 1, capacity, mean: capacity / capacities.length, use };
  }).filter(({ weight, capacity }) => weight > 0 && capacity > 0);
  const all = sum(counted.map(({ weight }) => weight));
  return counted.map((one) => ({ ...one, weight: (one.weight * counted.length) / all }));
}

function naiveRoom(host: NaiveHost, name: string, asked: Amounts = {}): number {
  const room = naiveCapacity(host, name) - (host.allocated[name] ?? 0) - (asked[name] ?? 0);
  return Math.max(0, room);
}

function naiveBalancedFit(
  hosts: readonly NaiveHost[],
  host: NaiveHost,
  asked: Amounts,
  weights: readonly number[],
): number {
  const classes = naiveClasses(hosts, weights);
  const n = classes.length;
  if (n === 0) return 0;
  const tightest = Math.max(...classes.map(({ use }) => use + 0.05));
  const priced = classes.map((one) => ({
    ...one,
    price: one.weight * ((one.use + 0.05) / tightest) ** 8,
  }));
  const units = (of: (name: string) => number) =>
    sum(classes.map(({ name, weight, mean }) => (weight * of(name)) / mean)) / n;
  const left = units((name) => naiveRoom(host, name, asked));
  const size = units((name) => naiveCapacity(host, name));
  const here = priced
    .filter(({ name }) => naiveCapacity(host, name) > 0)
    .map(({ name, price }) => {
      const capacity = naiveCapacity(host, name);
      const x = naiveRoom(host, name) / capacity;
      return {
        price,
        x,
        y: (asked[name] ?? 0) / capacity,
        z: naiveRoom(host, name, asked) / capacity,
      };
    });
  const roots =
    Math.sqrt(sum(here.map(({ price, x }) => price * x * x))) *
    Math.sqrt(sum(here.map(({ price, y }) => price * y * y)));
  const dot = sum(here.map(({ price, x, y }) => price * x * y));
  const misalign = roots === 0 ? 0 : Math.max(0, 1 - dot / roots);
  const prices = here.map(({ price }) => price);
  const all = sum(prices);
  const share = n === 1 ? 0 : Math.min(1, (all - Math.max(0, ...prices)) / (n - 1));
  const mean = all === 0 ? 0 : sum(here.map(({ price, z }) => price * z)) / all;
  const imbalance = sum(here.map(({ price, z }) => price * Math.abs(z - mean)));
  return left + 0.2 * size + 16 * share * misalign + 3 * imbalance;
}

function naiveStrandingOf(
  hosts: readonly NaiveHost[],
  host: NaiveHost,
  asked: Amounts,
  weights: readonly number[],
): number {
  const classes = naiveClasses(hosts, weights);
  const running = classes.filter(({ use }) => use > 0);
  if (running.length === 0) return 0;
  const tightest = Math.max(...classes.map(({ use }) => use));
  const stranded = (room: (name: string) => number) => {
    const mixes = Math.min(
      ...running.map(({ name, use, capacity }) => room(name) / (use * capacity)),
    );
    const rests = classes.map(
      ({ name, weight, use, capacity, mean }) =>
        (weight * (use / tightest) ** 4 * (room(name) - mixes * use * capacity)) / mean,
    );
    return sum(rests) / classes.length;
  };
  return (
    stranded((name) => naiveRoom(host, name, asked)) - stranded((name) => naiveRoom(host, name))
  );
}

function naiveK8s(host: NaiveHost, asked: Amounts, weights: readonly number[]): number {
  const here = CLASSES.map((name, index) => ({
    weight: weights[index] ?? 1,
    capacity: naiveCapacity(host, name),
    left: naiveRoom(host, name, asked),
  })).filter(({ weight, capacity }) => weight > 0 && capacity > 0);
  if (here.length === 0) return 0;
  const shares = here.map(({ capacity, left }) => left / capacity);
  const mean = sum(shares) / shares.length;
  const variance = sum(shares.map((share) => (share - mean) ** 2)) / shares.length;
  const least = sum(here.map(({ weight }, index) => weight * (shares[index] ?? 0)));
  return least / sum(here.map(({ weight }) => weight)) + 1 - Math.sqrt(variance);
}

export function naiveScore(
  hosts: readonly NaiveHost[],
  host: NaiveHost,
  asked: Amounts,
  { strategy, weights }: NaiveRanking,
): number {
  const left = naiveLeftover(hosts, host, asked, weights);
  if (strategy === 'first-fit') return host.seq === 0 ? 0 : -host.seq;
  if (strategy === 'cosine') return naiveCosine(host, asked, weights);
  if (strategy === 'worst-fit') return left;
  if (strategy === 'best-fit') return left === 0 ? 0 : -left;
  if (strategy === 'k8s-balanced') return toNano(naiveK8s(host, asked, weights));
  if (strategy === 'balanced-fit') return toNano(-naiveBalancedFit(hosts, host, asked, weights));
  if (strategy === 'stranding') {
    return toNano(-(naiveStrandingOf(hosts, host, asked, weights) + 0.2 * left));
  }
  const band = Math.floor((naiveCosine(host, asked, weights) + 1e-9) * 100);
  return toNano(band - left / 2);
}

/** The id of the host that the contract chooses, or null. */
export function naiveChoice(
  hosts: readonly NaiveHost[],
  request: NaiveRequest,
  ranking: NaiveRanking,
): string | null {
  const [best] = hosts
    .filter((host) => naiveReasons(hosts, host, request).length === 0)
    .map((host) => ({
      host,
      violations: naiveViolations(hosts, host, request.groups).length,
      score: naiveScore(hosts, host, request.resources, ranking),
      length: Math.sqrt(sum(remaining(host).map((value) => value * value))),
    }))
    .sort(
      (a, b) =>
        a.violations - b.violations ||
        b.score - a.score ||
        b.length - a.length ||
        a.host.seq - b.host.seq,
    );
  return best?.host.id ?? null;
}
