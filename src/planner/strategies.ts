/** The rankings of production under their names, for fleets that may lack a ranked class altogether. */
import type { FleetHost } from '../model/host.js';
import { RANKED_CLASSES } from '../model/resources.js';
import type { StrategyName } from '../model/strategies.js';
import { LargeShapes } from '../placement/large-shapes.js';
import { STRATEGIES } from '../placement/strategies.js';
import { weightsOf, type Ranking } from '../placement/strategy.js';

/**
 * With all weights 1, as configured by default; 0 for a class that no host has: traces often know
 * nothing of disks.
 * @param reserveLarge places that are kept for each of the largest shapes
 */
export function rankingOn(
  hosts: readonly FleetHost[],
  name: StrategyName,
  reserveLarge = 0,
): Ranking {
  const missing = RANKED_CLASSES.filter((each) =>
    hosts.every(({ capacity }) => (capacity[each] ?? 0) === 0),
  );
  const weights = weightsOf(Object.fromEntries(missing.map((each) => [each, 0])));
  const ranking = { strategy: STRATEGIES[name], weights };
  return reserveLarge === 0 ? ranking : { ...ranking, large: new LargeShapes(reserveLarge) };
}
