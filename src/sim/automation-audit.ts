/**
 * Watches what Berth does to many hosts by itself: it never closes more than a tenth of the fleet,
 * never takes for down what went missing in a mass, and while the breaker is open nothing follows from
 * what is missing.
 */
import { AUTOMATION_OWNER } from '../model/stores/fleet-watch.js';
import type { HostRow } from './catalogue/rows.js';
import type { Tables } from './catalogue/tables.js';
import { hostsInService } from './catalogue/views.js';
import type { Violations } from './violations.js';

/** Written down once more, apart from the rule that the catalogue goes by. */
const mayBeClosed = (hosts: number): number => (hosts < 20 ? 1 : Math.trunc(hosts / 10));

/** So many hosts, and so large a share of all, that go missing within this time: it is ourselves. */
const MASS_MIN = 3;
const MASS_SHARE = 0.3;
const AT_ONCE_MS = 6_000;

export interface AutomationAudited {
  readonly tables: Tables;
  readonly violations: Violations;
}

/** Calls of the catalogue that are judged. */
export const AUTOMATION: ReadonlySet<string> = new Set([
  'cordonFlapping',
  'saveHostPolls',
  'loseVms',
]);

/** Judges one of these calls: the double does what it does before it answers. */
export function aroundAutomation<T>(
  audited: AutomationAudited,
  method: string,
  call: () => Promise<T>,
): Promise<T> {
  if (method === 'cordonFlapping') return aroundCordons(audited, call);
  return aroundMisses(audited, method === 'loseVms', call);
}

function aroundCordons<T>({ tables, violations }: AutomationAudited, call: () => Promise<T>) {
  const answering = call();
  const hosts = hostsInService(tables);
  const closed = hosts.filter(
    ({ mode, modeOwner }) => mode === 'cordoned' && modeOwner === AUTOMATION_OWNER,
  ).length;
  violations.expect(
    closed <= mayBeClosed(hosts.length),
    'S22',
    () => `automation has closed ${closed.toString()} of ${hosts.length.toString()} hosts`,
  );
  return answering;
}

async function aroundMisses<T>(
  { tables, violations }: AutomationAudited,
  loses: boolean,
  call: () => Promise<T>,
): Promise<T> {
  const { isOpen, lookedAt } = tables.watch;
  const wereDown = new Set(downHosts(tables).map(({ id }) => id));
  const answering = call();
  const fell = downHosts(tables).filter(({ id }) => !wereDown.has(id));
  violations.expect(fell.length === 0 || !isOpen, 'S22', () => {
    const names = fell.map(({ id }) => id).join(', ');
    return `${names} went down while the breaker was open`;
  });
  const atOnce = fell.filter(
    ({ missingSince }) => (missingSince ?? -Infinity) > (lookedAt ?? 0) - AT_ONCE_MS,
  ).length;
  const hosts = hostsInService(tables).length;
  violations.expect(atOnce < MASS_MIN || atOnce <= hosts * MASS_SHARE, 'S22', () =>
    [atOnce, 'of', hosts, 'hosts went missing at once and are down'].join(' '),
  );
  const answer = await answering;
  violations.expect(
    !loses || !isOpen || answer === 0,
    'S22',
    () => 'VMs became unknown while the breaker was open',
  );
  return answer;
}

const downHosts = (tables: Tables): readonly HostRow[] => {
  const found: HostRow[] = [];
  for (const row of tables.hosts.rows()) {
    if (row.state === 'down' && row.mode !== 'retired') found.push(row);
  }
  return found;
};
