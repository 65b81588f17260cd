/** The control plane: verbs and loops joined on one set of ports. */
import { DomainError, invariant } from '../model/errors.js';
import { factsOf } from '../model/host.js';
import { inventoryOf } from '../model/inventory.js';
import type { Log } from '../model/ports.js';
import { explain } from '../placement/explain.js';
import type { Control, JoinHostInput } from './control.js';
import { createVm } from './create-vm.js';
import { HealthLoop } from './health-loop.js';
import { createLeaseLoop } from './lease-loop.js';
import { LedgerLoop, readiness } from './ledger-loop.js';
import { LifecycleLoop } from './lifecycle-loop.js';
import type { Ports } from './ports.js';
import { compare, rebuild } from './rebuild.js';
import { Scheduler } from './scheduler.js';
import type { ControlSettings } from './settings.js';
import { waitForVm } from './wait-for-vm.js';
import { wantVm } from './want-vm.js';

export interface ControlPlane extends Control {
  /** Makes the ledger believable (rebuilding it if need be) and starts the loops. */
  start(): Promise<void>;
  /** Finishes what is in flight and gives back every lease; the stores stay open. */
  stop(): Promise<void>;
}

export function createControlPlane(ports: Ports, settings: ControlSettings): ControlPlane {
  const ledgerLoop = new LedgerLoop(ports);
  const scheduler = new Scheduler(ports, settings.scheduler, (reason, epoch) => {
    ledgerLoop.disagree(reason, epoch);
  });
  const lifecycle = new LifecycleLoop(
    { ports, scheduler, attemptsMax: settings.lifecycle.attemptsMax },
    settings.lifecycle,
  );
  const health = new HealthLoop(
    ports,
    settings.health,
    settings.capacity,
    settings.replicaId,
    () => {
      lifecycle.poke();
    },
  );
  const leases = createLeaseLoop(ports, settings.bookingLeaseMs);

  const want = async (id: string, desired: 'running' | 'stopped' | 'deleted', log: Log) => {
    const vm = await wantVm(ports, id, desired, log);
    lifecycle.poke();
    return vm;
  };

  return {
    async createVm(input, log) {
      try {
        const vm = await createVm(ports, scheduler, input, log);
        lifecycle.poke();
        return vm;
      } catch (error) {
        if (error instanceof DomainError && error.code.startsWith('ledger_')) ledgerLoop.poke();
        throw error;
      }
    },
    waitForVm: (id, timeoutMs, signal) => waitForVm(ports, id, timeoutMs, signal),
    deleteVm: (id, log) => want(id, 'deleted', log),
    startVm: (id, log) => want(id, 'running', log),
    stopVm: (id, log) => want(id, 'stopped', log),
    async explain(request) {
      return explain(await ports.ledger.view(), request, settings.scheduler.ranking);
    },
    async joinHost(input, log) {
      const host = await ports.catalogue.joinHost(joinRequestOf(input, settings));
      log.info('host joined', { hostId: host.id, name: host.name, address: host.address });
      // The poll makes it `up`; the agent need not wait for it.
      health.pollHost(host.id).catch((error: unknown) => {
        log.warn('first poll of a host failed', { hostId: host.id, error });
      });
      return host;
    },
    async setHostMode(idOrName, mode, reason, log) {
      const host = await ports.catalogue.setHostMode(idOrName, mode, reason);
      if (host === null) throw new DomainError('not_found', `There is no host ${idOrName}.`);
      log.info('host mode', { hostId: host.id, mode, reason });
      await ports.ledger.pushHosts([factsOf(host)]).catch((error: unknown) => {
        // The catalogue already refuses (or allows) bookings there; the health loop pushes again.
        log.warn('placement hears of the mode later', { hostId: host.id, error });
      });
      return host;
    },
    async rebuild({ dryRun }, log) {
      if (dryRun) return compare(ports);
      const report = await rebuild(ports, () => Promise.resolve('operator'), log);
      invariant(report !== null, 'an operator always has a reason');
      return report;
    },
    readiness: () => readiness(ports),

    async start() {
      await ledgerLoop.runOnce().catch((error: unknown) => {
        ports.log.warn('the ledger is not ready yet', { error });
      });
      ledgerLoop.start();
      lifecycle.start();
      leases.start();
      health.start();
    },
    async stop() {
      await scheduler.stop();
      await Promise.all([lifecycle.stop(), health.stop(), leases.stop(), ledgerLoop.stop()]);
    },
  };
}

const joinRequestOf = ({ totals, ...input }: JoinHostInput, settings: ControlSettings) => ({
  ...input,
  inventory: inventoryOf(totals, settings.capacity),
});
