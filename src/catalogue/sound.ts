/**
 * Whether a row can be worked with. Rows are checked when they are written; but a hand, a restored
 * backup or a bug of another version may leave one that no loop could read. It is set aside with a
 * reason, and the rest goes on.
 */
import type { Log } from '../model/ports.js';
import { RESOURCE_CLASS_PATTERN } from '../model/ids.js';
import { PATH_PATTERN } from '../model/path.js';

/** Code of the reason of a VM that is set aside. */
export const SET_ASIDE = 'set_aside';

/** Hears of everything that is set aside. */
export type OnSetAside = (kind: 'host' | 'vm', id: string, fault: string) => void;

/** Of how many it is remembered that the log has them. */
const LOGGED_MAX = 1_000;

/** Tells the log once of each, and the counter every time. */
export function setAsideBy(log: Log, count: (kind: string) => void): OnSetAside {
  const logged = new Set<string>();
  return (kind, id, fault) => {
    count(kind);
    const news = `${kind} ${id} ${fault}`;
    if (logged.has(news) || logged.size >= LOGGED_MAX) return;
    logged.add(news);
    log.error('a row cannot be worked with and is set aside', { kind, id, fault });
  };
}

type Fields = Readonly<Record<string, unknown>>;

/** Columns as they come, whatever they hold. */
type Columns<Name extends string> = Readonly<Record<Name, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isText = (value: unknown): value is string => typeof value === 'string';

const areTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);

const areTextsByName = (value: unknown): boolean =>
  isFields(value) && Object.values(value).every(isText);

const isAmount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;

export const areAmounts = (value: unknown): boolean =>
  isFields(value) &&
  Object.entries(value).every(
    ([name, amount]) => RESOURCE_CLASS_PATTERN.test(name) && isAmount(amount),
  );

const areGroups = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.every((one) => isFields(one) && isText(one.name) && isText(one.policy));

/** @returns what is wrong with it; null when nothing is */
export function faultOfHost(
  row: Columns<'labels' | 'overrides' | 'used' | 'orphaned' | 'allocated' | 'inventory'>,
): string | null {
  const { labels, overrides, used, orphaned, allocated, inventory } = row;
  if (!areTextsByName(labels)) return 'labels must be texts by name';
  if (!isFields(overrides)) return 'overrides must be an object';
  if (!areAmounts(used) || !areAmounts(orphaned) || !areAmounts(allocated)) {
    return 'used, orphaned and allocated must be amounts by class';
  }
  const isEntry = (entry: unknown): boolean =>
    isFields(entry) &&
    [entry.total, entry.reserved].every(isAmount) &&
    typeof entry.overcommit === 'number' &&
    entry.overcommit > 0;
  return isFields(inventory) && Object.values(inventory).every(isEntry)
    ? null
    : 'inventory must have amounts by class';
}

/** What a host said that it cannot hold its VMs to; nothing where that cannot be read. */
export const limitsNotEnforced = (said: unknown): readonly string[] =>
  isFields(said) && Array.isArray(said.notEnforced) ? said.notEnforced.filter(isText) : [];

/** @returns what is wrong with it; null when nothing is */
export function faultOfVm(
  row: Columns<'attempts' | 'violations' | 'reason'> & Parameters<typeof faultOfSpec>[0],
): string | null {
  const { attempts, violations, reason } = row;
  if (!Array.isArray(attempts) || !attempts.every((one) => isFields(one) && isFields(one.host))) {
    return 'attempts must be a list of tries';
  }
  if (!areGroups(violations)) return 'violations must be a list of rules';
  if (reason !== null && !(isFields(reason) && isText(reason.code) && isText(reason.detail))) {
    return 'reason must have a code and a detail';
  }
  return faultOfSpec(row);
}

/** What is asked of a place. */
export function faultOfSpec({
  resources,
  constraints,
  path,
}: Columns<'resources' | 'constraints' | 'path'>): string | null {
  if (!areAmounts(resources)) return 'resources must be amounts by class';
  if (typeof path !== 'string' || !PATH_PATTERN.test(path))
    return 'path must be names joined by ":"';
  if (!isFields(constraints)) return 'constraints must be an object';
  const { zone, host, labels, exclude, groups } = constraints;
  const isSound =
    [zone, host].every((value) => value === undefined || isText(value)) &&
    (exclude === undefined || areTexts(exclude)) &&
    (groups === undefined || areGroups(groups)) &&
    (labels === undefined || (isFields(labels) && Object.values(labels).every(areTextsByName)));
  return isSound ? null : 'constraints must be as the API takes them';
}
