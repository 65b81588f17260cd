/** The control plane: verbs and loops joined on one set of ports. */
import { DomainError, invariant } from '../model/errors.js';
import { breakerVerbs } from './breaker-verbs.js';
import type { Caller } from './caller.js';
import { explain } from '../placement/explain.js';
import { rankedBy } from '../placement/strategies.js';
import { hashOf } from '../std/secret.js';
import type { Control, JoinHostInput } from './control.js';
import { createVm } from './create-vm.js';
import { createAll, createSome } from './create-vms.js';
import { DrainLoop } from './drain-loop.js';
import { driftChores } from './drift-chore.js';
import type { Driver } from './driver.js';
import { drainVerbs } from './drain-verbs.js';
import { fenceVerbs } from './fence-verbs.js';
import { forceStop } from './force-stop.js';
import { HealthLoop } from './health-loop.js';
import { cordonChore, hostVerbs } from './host-verbs.js';
import { idempotencyChore } from './idempotency-upkeep.js';
import { createLeaseLoop } from './lease-loop.js';
import { LedgerLoop, readiness } from './ledger-loop.js';
import { LifecycleLoop } from './lifecycle-loop.js';
import { orphanVerbs } from './orphan-verbs.js';
import { plannerVerbs } from './planner-verbs.js';
import type { Ports } from './ports.js';
import { rebuildChores } from './rebuild-upkeep.js';
import { compare, rebuild } from './rebuild.js';
import { endReservation, expiryChore, reserve } from './reservations.js';
import { Scheduler } from './scheduler.js';
import type { ControlSettings } from './settings.js';
import { VmWaits } from './wait-for-vm.js';
import { tokenVerbs } from './tokens.js';
import { WaitingRoom } from './waiting-room.js';
import { eventChores } from './events-upkeep.js';
import { usageChores } from './usage-chores.js';
import { UpkeepLoop } from './upkeep-loop.js';
import { wantVm } from './want-vm.js';

export interface ControlPlane extends Control {
  /** Makes the ledger believable (rebuilding it if need be) and starts the loops. */
  start(): Promise<void>;
  /** Finishes what is in flight and gives back every lease; the stores stay open. */
  stop(): Promise<void>;
}

/** @param asked the same ports, for what somebody waits for: their catalogue is less patient */
export function createControlPlane(
  ports: Ports,
  settings: ControlSettings,
  asked: Ports = ports,
): ControlPlane {
  const ledgerLoop = new LedgerLoop(ports);
  const driver: Driver = {
    promise: (count) => lifecycle.promise(count),
    keep: (taking, taken) => {
      lifecycle.keep(taking, taken);
    },
    poke: () => {
      lifecycle.poke();
    },
  };
  const scheduler = new Scheduler(
    ports,
    settings.scheduler,
    (reason, epoch) => {
      ledgerLoop.disagree(reason, epoch);
    },
    driver,
  );
  const lifecycle = new LifecycleLoop(
    { ports, scheduler, attemptsMax: settings.lifecycle.attemptsMax },
    settings.lifecycle,
  );
  const health = new HealthLoop(ports, settings.health, settings.replicaId, {
    onVmsChanged: () => {
      lifecycle.poke();
    },
    isPlacing: () => scheduler.busy,
  });
  const waitingRoom = new WaitingRoom({
    ports,
    asked: asked.catalogue,
    scheduler,
    settings: settings.waiting,
    ranking: settings.scheduler.ranking,
    replicaId: settings.replicaId,
    onPlaced: () => {
      lifecycle.poke();
    },
  });
  const drains = new DrainLoop({
    ports,
    scheduler,
    ranking: settings.scheduler.ranking,
    replicaId: settings.replicaId,
    onVmsDue: () => {
      lifecycle.poke();
    },
  });
  const waits = new VmWaits(asked);
  const leases = createLeaseLoop(ports, settings.bookingLeaseMs);
  const upkeep = new UpkeepLoop(ports, settings.replicaId, [
    cordonChore(ports),
    ...driftChores(ports, settings.bookingLeaseMs, (epoch) => {
      ledgerLoop.disagree('drift', epoch);
    }),
    ...usageChores(ports),
    expiryChore(ports, () => {
      waitingRoom.poke();
    }),
    ...eventChores(ports, settings.keep),
    idempotencyChore(ports),
    ...rebuildChores(ports),
  ]);

  /** What cannot be booked may be so for the ledger's sake. */
  const booking = async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call();
    } catch (error) {
      if (error instanceof DomainError && error.code.startsWith('ledger_')) ledgerLoop.poke();
      throw error;
    }
  };

  const want = async (id: string, desired: 'running' | 'stopped' | 'deleted', by: Caller) => {
    const vm = await wantVm(asked, id, desired, by);
    lifecycle.wanted(id);
    return vm;
  };

  return {
    createVm: (input, by) => booking(() => createVm(asked, scheduler, waitingRoom, input, by)),
    createVms: (inputs, { partial }, by) =>
      booking(async () => {
        if (partial) return createSome(asked, scheduler, waitingRoom, inputs, by);
        const vms = await createAll(asked, scheduler, inputs, by);
        return vms.map((vm) => ({ status: 'placed', vm }));
      }),
    reserve: (input, by) => booking(() => reserve(asked, scheduler, input, by)),
    async endReservation(id, by) {
      const reservation = await endReservation(asked, id, by);
      waitingRoom.poke();
      return reservation;
    },
    waitForVm: (id, timeoutMs, signal) => waits.wait(id, timeoutMs, signal),
    deleteVm: (id, by) => want(id, 'deleted', by),
    startVm: (id, by) => want(id, 'running', by),
    async stopVm(id, by, { force = false } = {}) {
      const vm = await want(id, 'stopped', by);
      if (force) await forceStop(asked, vm, by);
      return vm;
    },
    async explain(request, strategy) {
      const ranking = rankedBy(settings.scheduler.ranking, strategy);
      return explain(await ports.ledger.view(), request, ranking);
    },
    async joinHost(input, { actor, log }) {
      const ip = await asked.agents.resolve(input.address);
      const host = await asked.catalogue.joinHost(joinRequestOf(input, ip), actor);
      log.info('host joined', { hostId: host.id, name: host.name, address: host.address });
      // The poll makes it `up`; the agent need not wait for it.
      health.pollHost(host.id).catch((error: unknown) => {
        log.warn('first poll of a host failed', { hostId: host.id, error });
      });
      return host;
    },
    ...drainVerbs({
      ports: asked,
      ranking: settings.scheduler.ranking,
      onWork: () => {
        drains.poke();
        lifecycle.poke();
        waitingRoom.poke();
      },
    }),
    ...breakerVerbs(asked, settings.health.breaker),
    ...hostVerbs(asked, health),
    ...fenceVerbs(asked, () => {
      lifecycle.poke();
      drains.poke();
      waitingRoom.poke();
    }),
    async rebuild({ dryRun }, { actor, log }) {
      if (dryRun) return compare(ports);
      const report = await rebuild(
        ports,
        () => Promise.resolve({ reason: 'operator', isBelieved: true }),
        log,
      );
      invariant(report !== null, 'an operator always has a reason');
      const subject = { kind: 'ledger', id: 'ledger' };
      await ports.catalogue.note(actor, 'ledger.rebuild', subject);
      return report;
    },
    readiness: () => readiness(asked),
    ...orphanVerbs(asked, settings.health.onMissing, async () => {
      lifecycle.poke();
      // The adoption has begun a rebuild: whoever asks for a place next need not meet it.
      await ledgerLoop.runOnce().catch(() => {
        ledgerLoop.poke();
      });
    }),
    ...tokenVerbs(asked),
    ...plannerVerbs(asked, settings.scheduler.ranking),

    async start() {
      // The loops do not wait for it: a rebuild may be held up by a replica that died at it, and
      // hosts have to be looked at meanwhile.
      const firstLook = ledgerLoop.runOnce().catch((error: unknown) => {
        ports.log.warn('the ledger is not ready yet', { error });
      });
      lifecycle.start();
      drains.start();
      waitingRoom.start();
      leases.start();
      upkeep.start();
      health.start();
      await firstLook;
      ledgerLoop.start();
    },
    async stop() {
      await waitingRoom.stop();
      await scheduler.stop();
      await Promise.all([
        lifecycle.stop(),
        drains.stop(),
        health.stop(),
        leases.stop(),
        upkeep.stop(),
        ledgerLoop.stop(),
      ]);
    },
  };
}

const joinRequestOf = ({ token, ...input }: JoinHostInput, ip: string) => ({
  ...input,
  ip,
  tokenHash: token === undefined ? null : hashOf(token),
});
