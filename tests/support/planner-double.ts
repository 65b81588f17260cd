/** The part of the double of control that is about plans: the planner itself, on the double's hosts. */
import type { PlannerVerbs } from '../../src/control/planner-verbs.js';
import { factsOf, type Host } from '../../src/model/host.js';
import { capacity } from '../../src/planner/capacity.js';
import { compare } from '../../src/planner/compare.js';
import { tableOf } from '../../src/planner/fleet.js';
import { rebalance } from '../../src/planner/rebalance.js';
import { spare } from '../../src/planner/spare.js';
import { rankingOn } from '../../src/planner/strategies.js';
import { inSlices } from '../../src/std/slices.js';

export function plannerDouble(
  hosts: ReadonlyMap<string, Host>,
  work: () => Promise<void>,
): PlannerVerbs {
  const run = <Result>(sliced: Generator<number, Result>): Promise<Result> =>
    inSlices(sliced, { sliceMs: 10, now: () => performance.now() });
  const fleet = () => ({
    hosts: [...hosts.values()].map((host) => ({ ...factsOf(host), allocated: host.allocated })),
    vms: [],
  });
  return {
    async capacity(input) {
      await work();
      const table = tableOf(fleet());
      return {
        flavors: await run(capacity({ table, ...input })),
        spare: input.spare ? await run(spare(table, fleet(), rankingOn([], 'cosine'))) : null,
      };
    },
    async rebalance(input) {
      await work();
      return run(rebalance({ ...input, fleet: fleet() }));
    },
    async simulate({ hosts: given, ...input }) {
      await work();
      return run(compare({ ...input, hosts: given ?? fleet().hosts }));
    },
  };
}
