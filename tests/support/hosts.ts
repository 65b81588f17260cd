/** Builders of hosts for tests. */
import type { FleetHost, HostMode, HostPatch } from '../../src/model/host.js';
import { capacitiesOf, inventoryOf, limitsOf } from '../../src/model/inventory.js';
import type { Resources } from '../../src/model/resources.js';

/** What an operator says to give a host a mode. */
export const modePatch = (mode: HostMode, reason: string | null = null): HostPatch => ({
  mode: { mode, reason, owner: null, endsInMs: null },
});

/** The shares of the default configuration. */
export const DEFAULT_POLICY = {
  overcommit: { cpu: 4 },
  reserve: { memory: 0.1, disk: 0.1 },
} as const;

let seq = 0;

/** A host that is up and empty; 8 CPUs, 16 GiB, 100 GiB unless told otherwise. */
export function fleetHost(
  changes: Partial<FleetHost> & { readonly total?: Resources; readonly noReserve?: boolean } = {},
): FleetHost {
  seq += 1;
  const { total = { cpu: 8, memory: 16_384, disk: 102_400 }, noReserve = false, ...rest } = changes;
  const inventory = inventoryOf(
    Object.fromEntries(
      Object.entries(total).map(([name, amount]) => [
        name,
        { total: amount, source: 'configured' as const },
      ]),
    ),
    noReserve ? { overcommit: {}, reserve: {} } : DEFAULT_POLICY,
  );
  return {
    id: `host-${seq.toString()}`,
    name: `host-${seq.toString()}`,
    seq,
    revision: 1,
    zone: 'default',
    labels: {},
    state: 'up',
    mode: 'enabled',
    capacity: capacitiesOf(inventory),
    limits: limitsOf(inventory),
    allocated: {},
    ...rest,
  };
}
