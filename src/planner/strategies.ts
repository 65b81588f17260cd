/** The rankings of production under their names, for fleets that may lack a ranked class altogether. */
import type { FleetHost } from '../model/host.js';
import { RANKED_CLASSES } from '../model/resources.js';
import type { StrategyName } from '../model/strategies.js';
import { STRATEGIES } from '../placement/strategies.js';
import { weightsOf, type Ranking } from '../placement/strategy.js';

/** Ranked classes that no host has: traces often know nothing of disks. */
const missingClasses = (hosts: readonly FleetHost[]) =>
  RANKED_CLASSES.filter((name) => hosts.every(({ capacity }) => (capacity[name] ?? 0) === 0));

/** With all weights 1, as configured by default; 0 for a class that no host has. */
export const rankingOn = (hosts: readonly FleetHost[], name: StrategyName): Ranking => ({
  strategy: STRATEGIES[name],
  weights: weightsOf(Object.fromEntries(missingClasses(hosts).map((missing) => [missing, 0]))),
});

/**
 * The hosts as the strategy must see them. Cosine takes a host that has nothing of a class for
 * exhausted, and so would not tell apart hosts of a fleet that knows two classes only: there every
 * host gets one unit of the third, which weighs nothing and can be booked by nobody.
 */
export function rankable(hosts: readonly FleetHost[], name: StrategyName): readonly FleetHost[] {
  const missing = missingClasses(hosts);
  if (missing.length === 0 || !name.startsWith('cosine')) return hosts;
  const units = Object.fromEntries(missing.map((resource) => [resource, 1]));
  return hosts.map((host) => ({ ...host, capacity: { ...host.capacity, ...units } }));
}
