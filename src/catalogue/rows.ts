/** Rows as they come from the database, and what they mean. */
import type { Constraints } from '../model/constraints.js';
import type { GroupRule } from '../model/groups.js';
import type { Host, HostMode, HostOverrides } from '../model/host.js';
import type { HostState } from '../model/host-liveness.js';
import type { Inventory } from '../model/inventory.js';
import type { Resources } from '../model/resources.js';
import type { StrategyName } from '../model/strategies.js';
import type {
  Attempt,
  DesiredState,
  OnHostLoss,
  Reason,
  Vm,
  VmState,
  VmUser,
} from '../model/vm.js';
import { faultOfHost, faultOfVm, limitsNotEnforced, SET_ASIDE } from './sound.js';

export interface HostRow {
  readonly id: string;
  readonly seq: number;
  readonly name: string;
  readonly address: string;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: HostState;
  readonly mode: HostMode;
  readonly mode_reason: string | null;
  readonly mode_owner: string | null;
  readonly mode_until: Date | null;
  readonly fenced_at: Date | null;
  readonly fence_reason: string | null;
  readonly fenced_by: string | null;
  readonly overrides: HostOverrides;
  readonly said: unknown;
  readonly used: Resources;
  readonly orphaned: Resources;
  readonly missed_polls: number;
  readonly inventory: Inventory;
  readonly allocated: Resources;
  readonly vms: number;
  readonly revision: number;
  readonly version: string;
  readonly boot_id: string;
  readonly last_seen_at: Date | null;
  readonly created_at: Date;
}

/** One that cannot be worked with is shown as closed, with the reason, and offers nothing. */
export function hostOf(row: HostRow): Host {
  const fault = faultOfHost(row);
  if (fault === null) return plainHost(row);
  return {
    ...plainHost({
      ...row,
      labels: {},
      overrides: {},
      used: {},
      orphaned: {},
      allocated: {},
      inventory: {},
    }),
    mode: row.mode === 'enabled' ? 'cordoned' : row.mode,
    modeReason: `set aside: ${fault}`,
    modeOwner: 'berth',
  };
}

const plainHost = (row: HostRow): Host => ({
  id: row.id,
  name: row.name,
  address: row.address,
  zone: row.zone,
  labels: row.labels,
  state: row.state,
  mode: row.mode,
  modeReason: row.mode_reason,
  modeOwner: row.mode_owner,
  modeUntil: row.mode_until,
  fence:
    row.fenced_at === null
      ? null
      : { at: row.fenced_at, reason: row.fence_reason ?? '', by: row.fenced_by ?? '' },
  overrides: row.overrides,
  used: row.used,
  orphaned: row.orphaned,
  missedPolls: row.missed_polls,
  inventory: row.inventory,
  allocated: row.allocated,
  vms: row.vms,
  seq: row.seq,
  revision: row.revision,
  agent: { version: row.version, bootId: row.boot_id },
  notEnforced: limitsNotEnforced(row.said),
  lastSeenAt: row.last_seen_at,
  createdAt: row.created_at,
});

type StoredAttempt = Omit<Attempt, 'at'> & { readonly at: string };

export interface VmRow {
  readonly id: string;
  readonly seq: number;
  readonly name: string;
  readonly path: string;
  readonly resources: Resources;
  readonly image: string | null;
  readonly users: readonly VmUser[];
  readonly constraints: Constraints;
  readonly request_hash: string;
  readonly desired_state: DesiredState;
  readonly state: VmState;
  readonly host_id: string | null;
  readonly host_name: string | null;
  readonly booking_id: string | null;
  readonly assignment: number | null;
  readonly reason: Reason | null;
  readonly attempts: readonly StoredAttempt[];
  readonly has_run: boolean;
  readonly on_host_loss: OnHostLoss;
  readonly violations: readonly GroupRule[];
  readonly strategy: StrategyName | null;
  readonly wait_until: Date | string | null;
  readonly moving_to: string | null;
  /** Dates, or ISO texts where the row came as JSON. */
  readonly created_at: Date | string;
  readonly updated_at: Date | string;
}

/** One that cannot be worked with is shown with the reason, and without what cannot be read. */
export function vmOf(row: VmRow): Vm {
  const detail = faultOfVm(row);
  if (detail === null) return plainVm(row);
  return {
    ...plainVm({ ...row, resources: {}, constraints: {}, attempts: [], violations: [] }),
    reason: { code: SET_ASIDE, detail },
  };
}

const plainVm = (row: VmRow): Vm => ({
  id: row.id,
  name: row.name,
  path: row.path,
  resources: row.resources,
  image: row.image,
  users: row.users,
  constraints: row.constraints,
  desiredState: row.desired_state,
  state: row.state,
  host: row.host_id === null ? null : { id: row.host_id, name: row.host_name ?? row.host_id },
  allocation:
    row.booking_id === null || row.assignment === null
      ? null
      : { bookingId: row.booking_id, assignment: row.assignment },
  reason: row.reason,
  attempts: row.attempts.map((attempt) => ({ ...attempt, at: new Date(attempt.at) })),
  hasRun: row.has_run,
  onHostLoss: row.on_host_loss,
  violations: row.violations,
  strategy: row.strategy,
  waitUntil: row.wait_until === null ? null : new Date(row.wait_until),
  movingTo: row.moving_to,
  createdAt: new Date(row.created_at),
  updatedAt: new Date(row.updated_at),
});
