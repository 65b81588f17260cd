/**
 * Where the VMs of a host would go: each is placed with those before it already moved. Pure; works
 * on the fleet as it is shown and leaves it as it was.
 */
import type { Constraints } from '../model/constraints.js';
import type {
  DecisionSummary,
  HostRef,
  PlacementRequest,
  RejectReason,
} from '../model/decision.js';
import type { DrainMove } from '../model/drain.js';
import { membershipsOf } from '../model/groups.js';
import type { Resources } from '../model/resources.js';
import type { Vm } from '../model/vm.js';
import { choose } from './choose.js';
import { explain } from './explain.js';
import { prepare, rejectReasons } from './filter.js';
import type { HostTable } from './host-table.js';
import { rankedBy } from './strategies.js';
import type { Ranking } from './strategy.js';

type Movable = Pick<
  Vm,
  'id' | 'name' | 'path' | 'resources' | 'constraints' | 'strategy' | 'createdAt'
>;

export type Target =
  | { readonly kind: 'found'; readonly host: HostRef; readonly detail: string | null }
  | { readonly kind: 'nowhere'; readonly detail: string; readonly summary: DecisionSummary };

/**
 * The plan for a host, in the order in which its VMs are to be moved: the largest first, because
 * they are the hardest to place while there is room.
 */
export function planDrain(
  fleet: HostTable,
  from: HostRef,
  vms: readonly Movable[],
  ranking: Ranking,
): readonly DrainMove[] {
  const booked: (() => void)[] = [];
  try {
    return largestFirst(fleet, from.id, vms).map((vm): DrainMove => {
      const ref = { id: vm.id, name: vm.name };
      const target = targetFor(fleet, from, vm, ranking, null);
      if (target.kind === 'nowhere') {
        const { detail, summary } = target;
        return { vm: ref, state: 'blocked', planned: null, target: null, detail, summary };
      }
      const planned = target.host;
      booked.push(take(fleet, from.id, vm, 'unbook'), take(fleet, planned.id, vm, 'book'));
      return { vm: ref, state: 'planned', planned, target: null, detail: null, summary: null };
    });
  } finally {
    for (const undo of booked.reverse()) undo();
  }
}

/**
 * The host that a VM is to move to: the planned one while it can take it, else the best.
 * @param planned null when there is no plan for it
 */
export function targetFor(
  fleet: HostTable,
  from: HostRef,
  vm: Movable,
  configured: Ranking,
  planned: HostRef | null,
): Target {
  const ranking = rankedBy(configured, vm.strategy);
  const { host } = vm.constraints;
  const request = (constraints: Constraints) => ({
    resources: vm.resources,
    path: vm.path,
    constraints: { ...constraints, exclude: [...(constraints.exclude ?? []), from.id] },
  });
  // Its own membership must not keep it from, or hold it to, any host.
  const undo = take(fleet, from.id, vm, 'unbook');
  try {
    let detail: string | null = null;
    if (planned !== null) {
      const { rejected } = explain(fleet, request(vm.constraints), ranking);
      const reasons = rejected.find((rejection) => rejection.host.id === planned.id)?.reasons;
      const known = fleet.rowOf(planned.id) >= 0;
      if (known && reasons === undefined) return { kind: 'found', host: planned, detail: null };
      const why = known ? said(reasons ?? []) : 'it is gone';
      detail = `not to ${planned.name} as planned: ${why}`;
    }
    const decision = choose(fleet, request(vm.constraints), ranking);
    if (decision.kind === 'placed') {
      const { id, name } = fleet.factsAt(decision.row);
      return { kind: 'found', host: { id, name }, detail };
    }
    const pinned = host === from.id || host === from.name;
    return {
      kind: 'nowhere',
      detail: pinned
        ? 'it may be on this host only'
        : whyNowhere(decision.summary, reasonsAt(fleet, from.id, request(vm.constraints))),
      summary: decision.summary,
    };
  } finally {
    undo();
  }
}

/** @returns what takes it back */
function take(fleet: HostTable, hostId: string, vm: Movable, how: 'book' | 'unbook'): () => void {
  const row = fleet.rowOf(hostId);
  if (row < 0) return () => undefined;
  const groups = membershipsOf(vm.path, vm.constraints.groups);
  const back = how === 'book' ? 'unbook' : 'book';
  fleet[how](row, vm.resources, groups);
  return () => {
    fleet[back](row, vm.resources, groups);
  };
}

/** By the largest share that a VM takes of any class of the host; the older one where equal. */
function largestFirst(
  fleet: HostTable,
  hostId: string,
  vms: readonly Movable[],
): readonly Movable[] {
  const row = fleet.rowOf(hostId);
  const limits: Resources = row < 0 ? {} : fleet.factsAt(row).limits;
  const share = ({ resources }: Movable): number =>
    Math.max(
      0,
      ...Object.entries(resources).map(([name, amount]) => amount / Math.max(1, limits[name] ?? 0)),
    );
  return [...vms].sort(
    (a, b) =>
      share(b) - share(a) ||
      a.createdAt.getTime() - b.createdAt.getTime() ||
      (a.id < b.id ? -1 : 1),
  );
}

const said = (reasons: readonly RejectReason[]): string =>
  reasons
    .map(({ code, resource, group }) => [code, resource ?? group].filter(Boolean).join(' '))
    .join(', ');

/** What keeps a request from one host. */
function reasonsAt(
  fleet: HostTable,
  hostId: string,
  request: PlacementRequest,
): ReadonlySet<string> {
  const row = fleet.rowOf(hostId);
  if (row < 0) return new Set();
  return new Set(rejectReasons(fleet, row, prepare(fleet, request)).map(({ code }) => code));
}

/** @param here what is said of the host that is being emptied: it is none of the others */
function whyNowhere({ byReason, nearest }: DecisionSummary, here: ReadonlySet<string>): string {
  const counts = Object.entries(byReason)
    .map(([code, count]) => [code, here.has(code) ? count - 1 : count] as const)
    .filter(([, count]) => count > 0)
    .map(([code, count]) => `${code} on ${count.toString()}`);
  const why = counts.length === 0 ? 'there is no other' : counts.join(', ');
  const missing = Object.entries(nearest?.missing ?? {}).map(
    ([name, amount]) => `${amount.toString()} ${name}`,
  );
  const near =
    nearest === null || missing.length === 0
      ? ''
      : `; ${nearest.host.name} comes nearest and lacks ${missing.join(', ')}`;
  return `no other host can take it: ${why}${near}`;
}
