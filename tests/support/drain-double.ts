/** The part of the control double that takes hosts out. */
import type { DrainVerbs } from '../../src/control/drain-verbs.js';
import type { Drain } from '../../src/model/drain.js';
import { DomainError } from '../../src/model/errors.js';
import type { Host } from '../../src/model/host.js';
import type { Vm } from '../../src/model/vm.js';

export interface DrainDouble {
  readonly verbs: DrainVerbs;
  readonly drain: (hostId: string) => Promise<Drain | null>;
}

const now = new Date('2026-11-21T10:00:00.000Z');

/** @param work what every call does first */
export function drainDouble(
  hosts: Map<string, Host>,
  vms: ReadonlyMap<string, Vm>,
  work: () => Promise<void>,
): DrainDouble {
  const drains = new Map<string, Drain>();
  const named = async (idOrName: string): Promise<Host> => {
    await work();
    const host = hosts.get(idOrName) ?? [...hosts.values()].find(({ name }) => name === idOrName);
    if (host === undefined) throw new DomainError('not_found', `There is no host ${idOrName}.`);
    return host;
  };
  const on = ({ id }: Host) => [...vms.values()].filter(({ host }) => host?.id === id);
  const drainOf = (host: Host): Drain =>
    drains.get(host.id) ?? {
      host: { id: host.id, name: host.name },
      state: 'draining',
      reason: null,
      owner: null,
      startedAt: now,
      endedAt: null,
      moves: on(host).map(({ id, name }) => ({
        vm: { id, name },
        state: 'blocked',
        planned: null,
        target: null,
        detail: 'no other host can take it: there is no other',
        summary: { considered: 1, feasible: 0, byReason: { excluded: 1 }, nearest: null },
      })),
    };
  return {
    /** A host that has VMs is said to have been drained. */
    async drain(hostId) {
      const host = await named(hostId);
      return drains.has(hostId) || on(host).length > 0 ? drainOf(host) : null;
    },
    verbs: {
      async drainHost(idOrName, { dryRun, reason, owner }) {
        const host = await named(idOrName);
        if (host.mode === 'retired') throw new DomainError('state_conflict', 'It is retired.');
        const drain: Drain = {
          ...drainOf(host),
          state: dryRun ? 'planned' : 'draining',
          reason,
          owner,
        };
        if (!dryRun) {
          drains.set(host.id, drain);
          hosts.set(host.id, { ...host, mode: 'draining', modeReason: reason, modeOwner: owner });
        }
        return drain;
      },
      async cancelDrain(idOrName) {
        const host = await named(idOrName);
        const cancelled: Drain = { ...drainOf(host), state: 'cancelled', endedAt: now };
        drains.set(host.id, cancelled);
        hosts.set(host.id, { ...host, mode: 'enabled', modeReason: null, modeOwner: null });
        return cancelled;
      },
      async retireHost(idOrName, force) {
        const host = await named(idOrName);
        const left = on(host).length;
        if (left > 0 && force === null) {
          throw new DomainError('host_not_empty', 'It has VMs.', {
            extra: { vms: left, reservations: 0 },
          });
        }
        const retired: Host = {
          ...host,
          mode: 'retired',
          modeReason: force?.reason ?? null,
          vms: 0,
          allocated: {},
        };
        hosts.set(host.id, retired);
        return retired;
      },
    },
  };
}
