/** Looks at the fleet as a whole, judged by the catalogue's double. */
import { BERTH } from '../../model/actor.js';
import { BURST_MS, mayClose } from '../../model/automation-limit.js';
import { DomainError } from '../../model/errors.js';
import {
  closedByWord,
  isHeld,
  judgeLook,
  type Watch,
  type WatchRules,
} from '../../model/fleet-breaker.js';
import type { Host } from '../../model/host.js';
import {
  AUTOMATION_OWNER,
  flappingReason,
  type FlappingRule,
  type FleetWatch,
  type FleetWatchStore,
  type LookVerdict,
} from '../../model/stores/fleet-watch.js';
import { dateOrNull } from './facts.js';
import type { HostRow } from './rows.js';
import { answered, type Tables } from './tables.js';
import { hostOf, hostsInService } from './views.js';
import { putWatch, updateHost } from './writing.js';

export const fleetWatchOf = (tables: Tables): FleetWatchStore => ({
  judgeLook: (look, rules) => answered(tables, () => judge(tables, look, rules)),

  fleetWatch: () => answered(tables, () => shown(tables.watch, tables.now())),

  closeBreaker: (reason, by) =>
    answered(tables, () => closeBreaker(tables, reason), { by, action: 'breaker.close' }),

  cordonFlapping: (rule) =>
    answered(tables, () => cordonFlapping(tables, rule), { by: BERTH, action: 'host.cordon' }),
});

/** Whether nothing may follow from what is missing, of a look that began then. */
export function isHeldNow(tables: Tables, askedAt: Date | null = null): boolean {
  const { watch } = tables;
  const isAnew = askedAt !== null && (watch.anewAt ?? -Infinity) >= askedAt.getTime();
  return isHeld(watch, tables.now()) || isAnew;
}

function judge(
  tables: Tables,
  { askedAt, missed }: Parameters<FleetWatchStore['judgeLook']>[0],
  rules: WatchRules,
): LookVerdict {
  const now = Math.round(tables.now());
  const look = { askedAt: askedAt.getTime(), missed: new Set(missed) };
  const hosts = hostsInService(tables);
  const { kind, held, change, watch, newlyMissing } = judgeLook(
    tables.watch,
    hosts,
    look,
    rules,
    now,
  );
  for (const id of newlyMissing) {
    const row = tables.hosts.get(id);
    if (row !== undefined) updateHost(tables, row, { missingSince: look.askedAt });
  }
  if (change !== null) {
    const action = change === 'opened' ? 'breaker.open' : 'breaker.close';
    tables.doing = { by: BERTH, action };
  }
  putWatch(tables, watch);
  tables.doing = null;
  if (change === 'closed') beginAnew(tables);
  return { kind, held, change, watch: shown(watch, now) };
}

function closeBreaker(tables: Tables, reason: string): FleetWatch {
  if (!tables.watch.isOpen) {
    throw new DomainError('state_conflict', 'The breaker is closed already.');
  }
  const now = Math.round(tables.now());
  const after = closedByWord(tables.watch, reason, now);
  putWatch(tables, after);
  beginAnew(tables);
  return shown(after, now);
}

/** Nothing that was missed before counts. */
function beginAnew(tables: Tables): void {
  for (const row of hostsInService(tables)) {
    if (row.state === 'suspect') updateHost(tables, row, { missedPolls: 0 });
  }
}

function cordonFlapping(
  tables: Tables,
  rule: FlappingRule,
): { readonly cordoned: readonly Host[]; readonly heldBack: number } {
  const now = tables.now();
  const hosts = hostsInService(tables);
  const recently = ({ changes }: HostRow) =>
    changes.filter((at) => at > now - rule.windowMs).length;
  const flapping = hosts
    .filter((row) => row.mode === 'enabled' && recently(row) >= rule.changesMax)
    .sort((left, right) => (left.id < right.id ? -1 : 1));
  if (isHeldNow(tables)) return { cordoned: [], heldBack: 0 };
  const closed = hosts.filter((row) => row.mode === 'cordoned' && row.cordonedByAutomation).length;
  const lately = tables.cordons.filter((at) => at > now - BURST_MS);
  const chosen = flapping.slice(0, mayClose(hosts.length, closed, lately.length));
  const cordoned = chosen.map((row) =>
    hostOf(
      tables,
      updateHost(tables, row, {
        mode: 'cordoned',
        modeReason: flappingReason(recently(row), rule),
        modeOwner: AUTOMATION_OWNER,
        modeUntil: tables.now() + rule.cordonMs,
        cordonedByAutomation: true,
        revision: row.revision + 1,
      }),
    ),
  );
  if (chosen.length > 0) tables.cordons = [...lately, ...chosen.map(() => now)];
  return { cordoned, heldBack: flapping.length - chosen.length };
}

const shown = (watch: Watch, now: number): FleetWatch => ({
  isOpen: watch.isOpen,
  since: dateOrNull(watch.changedAt),
  reason: watch.reason,
  hosts: watch.hosts,
  missing: watch.missing,
  graceUntil: (watch.graceUntil ?? 0) > now ? dateOrNull(watch.graceUntil) : null,
  lookedAt: dateOrNull(watch.lookedAt),
});
