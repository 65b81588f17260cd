/** The part of the control double that keeps hosts: settings, reports, usage. */
import type { FenceVerbs } from '../../src/control/fence-verbs.js';
import type { HostVerbs } from '../../src/control/host-verbs.js';
import { DomainError } from '../../src/model/errors.js';
import { patchedOverrides, type Host } from '../../src/model/host.js';
import { refuseFence } from '../../src/model/stores/fences.js';
import type { UsageStore } from '../../src/model/stores/usage.js';
import { sumUsage, usageOf, type HostUsage, type Usage } from '../../src/model/usage.js';

type Find = (idOrName: string) => Host | undefined;

/** @param work a step that fails when it is told to */
export const hostVerbsDouble = (
  hosts: Map<string, Host>,
  find: Find,
  work: () => Promise<void>,
): HostVerbs & FenceVerbs => ({
  async fenceHost(idOrName, reason, { actor }) {
    await work();
    const host = find(idOrName);
    if (host === undefined) throw new DomainError('not_found', `There is no host ${idOrName}.`);
    refuseFence(host);
    const fence = host.fence ?? { at: host.createdAt, reason, by: actor.name };
    const fenced: Host = { ...host, fence };
    hosts.set(host.id, fenced);
    return fenced;
  },
  async patchHost(idOrName, { mode, overrides = {} }) {
    await work();
    const host = find(idOrName);
    if (host === undefined) throw new DomainError('not_found', `There is no host ${idOrName}.`);
    const patched = patchedOverrides(host.overrides, overrides);
    const changed: Host = {
      ...host,
      ...(mode === undefined
        ? {}
        : {
            mode: mode.mode,
            modeReason: mode.reason,
            modeOwner: mode.owner,
            modeUntil:
              mode.endsInMs === null ? null : new Date(host.createdAt.getTime() + mode.endsInMs),
          }),
      overrides: patched,
      zone: patched.zone ?? host.zone,
      labels: { ...host.labels, ...patched.labels },
    };
    hosts.set(host.id, changed);
    return changed;
  },
  async acceptStatus({ hostId, used }) {
    await work();
    const host = hosts.get(hostId);
    if (host === undefined) throw new DomainError('not_found', `There is no host ${hostId}.`);
    hosts.set(hostId, { ...host, used });
  },
});

export type UsageReads = Pick<UsageStore, 'usage' | 'fleetCounts' | 'usageHistory'>;

export const usageDouble = (hosts: Map<string, Host>, work: () => Promise<void>): UsageReads => {
  const usage = (): readonly HostUsage[] =>
    [...hosts.values()].map((host) => ({
      host: { id: host.id, name: host.name },
      zone: host.zone,
      state: host.state,
      mode: host.mode,
      resources: usageOf(host),
    }));
  return {
    async usage() {
      await work();
      return usage();
    },
    async fleetCounts() {
      await work();
      return {
        hosts: [{ state: 'up', count: hosts.size }],
        amounts: [{ resource: 'cpu', kind: 'limit', amount: 32 }],
      };
    },
    async usageHistory({ from }) {
      await work();
      const total: Usage = sumUsage(usage().map(({ resources }) => resources));
      const resources = Object.entries(total).map(
        ([resource, amounts]) =>
          [resource, { ...amounts, bookedMax: amounts.booked, usedMax: amounts.used }] as const,
      );
      return {
        items: [{ at: from, resources: Object.fromEntries(resources) }],
        nextCursor: null,
      };
    },
  };
};
