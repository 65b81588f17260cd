/** What operators do about VMs that run without a record, and about recorded ones that do not run. */
import { DomainError } from '../model/errors.js';
import type { Host } from '../model/host.js';
import { NAME_PATTERN } from '../model/ids.js';
import { ROOT_PATH } from '../model/path.js';
import type { MissingVm, OnMissing, Orphan } from '../model/stores/orphans.js';
import type { Vm } from '../model/vm.js';
import type { Caller } from './caller.js';
import type { Ports } from './ports.js';
import { sendAway } from './reconcile.js';

export interface Strays {
  readonly orphans: readonly Orphan[];
  readonly missing: readonly MissingVm[];
  /** What is done about those that are missing. */
  readonly onMissing: OnMissing;
}

export interface AdoptInput {
  readonly name?: string | undefined;
  readonly path?: string | undefined;
}

export interface OrphanVerbs {
  /** What hosts report and what is recorded, where two reports in a row say that they differ. */
  strays(): Promise<Strays>;
  /**
   * Makes an orphan a VM like any other, on the host where it runs.
   * @throws DomainError `not_found`, `id_conflict`, `state_conflict`
   */
  adoptOrphan(host: string, vmId: string, input: AdoptInput, by: Caller): Promise<Vm>;
  /**
   * Has an orphan removed by its host; told again at each report until it is gone.
   * @throws DomainError `not_found`
   */
  destroyOrphan(host: string, vmId: string, by: Caller): Promise<Orphan>;
}

/** @param onAdopted called when there is a VM more, and a ledger that does not know of it */
export function orphanVerbs(
  ports: Ports,
  onMissing: OnMissing,
  onAdopted: () => Promise<void>,
): OrphanVerbs {
  const { catalogue } = ports;
  return {
    async strays() {
      const [orphans, missing] = await Promise.all([catalogue.orphans(), catalogue.missingVms()]);
      return { orphans, missing, onMissing };
    },
    async adoptOrphan(idOrName, vmId, { name, path }, { actor, log }) {
      const host = await hostOf(ports, idOrName);
      const adoption = {
        hostId: host.id,
        vmId,
        name: name ?? nameOf(vmId),
        path: path ?? ROOT_PATH,
        bookingId: ports.newId(),
      };
      const vm = await catalogue.adoptOrphan(adoption, actor);
      log.info('orphan adopted', { vmId, hostId: host.id, name: vm.name, path: vm.path });
      await onAdopted();
      return vm;
    },
    async destroyOrphan(idOrName, vmId, { actor, log }) {
      const host = await hostOf(ports, idOrName);
      const orphan = await catalogue.dismissOrphan(host.id, vmId, actor);
      if (orphan === null) {
        throw new DomainError('not_found', `Host ${host.name} has no VM ${vmId} without a record.`);
      }
      log.info('orphan is to go', { vmId, hostId: host.id });
      await sendAway(ports, host.id, vmId, orphan.assignment).catch((error: unknown) => {
        log.warn('the orphan is told to go again at the next report', { vmId, error });
      });
      return orphan;
    },
  };
}

async function hostOf({ catalogue }: Ports, idOrName: string): Promise<Host> {
  const host = await catalogue.host(idOrName);
  if (host === null) throw new DomainError('not_found', `There is no host ${idOrName}.`);
  return host;
}

/** Ids may end in what names may not. */
const nameOf = (vmId: string): string => (NAME_PATTERN.test(vmId) ? vmId : 'adopted');
