/** The part of the double of control that is about orphans: any host has one of any id but `no-vm`. */
import type { OrphanVerbs } from '../../src/control/orphan-verbs.js';
import { DomainError } from '../../src/model/errors.js';
import type { Host } from '../../src/model/host.js';
import type { Orphan } from '../../src/model/stores/orphans.js';
import type { Vm } from '../../src/model/vm.js';

const at = new Date('2026-11-21T10:00:00.000Z');

export function orphansDouble(
  findHost: (idOrName: string) => Host | undefined,
  vms: Map<string, Vm>,
  vmOf: (changes: Partial<Vm>) => Vm,
  work: () => Promise<void>,
): OrphanVerbs {
  const orphanOn = (idOrName: string, vmId: string): Orphan => {
    const host = findHost(idOrName);
    if (host === undefined || vmId === 'no-vm') {
      throw new DomainError('not_found', `There is no ${vmId} on ${idOrName}.`);
    }
    return {
      host: { id: host.id, name: host.name },
      vmId,
      state: 'running',
      resources: { cpu: 1 },
      assignment: 7,
      firstSeenAt: at,
      lastSeenAt: at,
      recordedOn: null,
      leaving: false,
    };
  };
  return {
    async strays() {
      await work();
      return { orphans: [], missing: [], onMissing: 'mark' };
    },
    async adoptOrphan(host, vmId, { name = vmId, path = 'root' }) {
      await work();
      const orphan = orphanOn(host, vmId);
      if (vms.has(vmId)) throw new DomainError('id_conflict', `The id ${vmId} is taken.`);
      const vm = vmOf({ id: vmId, name, path, host: orphan.host, resources: orphan.resources });
      vms.set(vmId, vm);
      return vm;
    },
    async destroyOrphan(host, vmId) {
      await work();
      return { ...orphanOn(host, vmId), leaving: true };
    },
  };
}
