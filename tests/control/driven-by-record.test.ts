/** VMs that their record hands to the lifecycle, batches in halves, and the lock between batches. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Catalogue, PlacementTurn } from '../../src/model/ports.js';
import type { HostTable } from '../../src/placement/host-table.js';
import { tester } from '../support/callers.js';
import {
  ControlFixture,
  eventually,
  SCHEDULER,
  settled,
  type TestReplica,
} from './control-fixture.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };
const ROOMY = { cpu: 64, memory: 100_000, disk: 100_000 };

/** No test waits for a tick: what is found has been pointed at. */
const LIFECYCLE = {
  leaseMs: 60_000,
  tickMs: 60_000,
  concurrencyMax: 32,
  perHostMax: 32,
  attemptsMax: 3,
};

/** A turn is over when nobody comes, and not because of its time; the lease of the lock is longer. */
const PATIENT = { scheduler: { ...SCHEDULER, holdMs: 2_500 } };

/** What waits until it is opened. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

describe('a recorded batch', () => {
  let fixture: ControlFixture;
  beforeEach(async () => {
    fixture = await ControlFixture.start();
  });
  afterEach(() => fixture.stop());

  const createMany = (replica: TestReplica, count: number) =>
    Promise.all(
      Array.from({ length: count }, () => replica.control.createVm({ resources: SMALL }, tester)),
    );

  it('is driven although nobody finds it', async () => {
    const replica = await fixture.replica(
      ({ catalogue }) => ({
        catalogue: {
          ...catalogue,
          // Its host may want to be asked again; that comes later.
          takeWork: async (...how) =>
            (await catalogue.takeWork(...how)).filter(({ vm }) => vm.state !== 'placed'),
        },
      }),
      { lifecycle: LIFECYCLE },
    );
    await fixture.host(replica, 'oak', ROOMY);
    const vms = await createMany(replica, 24);
    const all = await Promise.all(vms.map((vm) => settled(replica.control, vm)));
    expect(new Set(all.map(({ state }) => state))).toEqual(new Set(['running']));
  });

  it('is driven to its end where there is room for a part of it only', async () => {
    const lifecycle = { ...LIFECYCLE, concurrencyMax: 5, perHostMax: 5 };
    const replica = await fixture.replica(() => ({}), { lifecycle });
    await fixture.host(replica, 'oak', ROOMY);
    const vms = await createMany(replica, 40);
    const all = await Promise.all(vms.map((vm) => settled(replica.control, vm)));
    expect(new Set(all.map(({ state }) => state))).toEqual(new Set(['running']));
  });

  it('is followed by what is wanted of its VMs while they are driven', async () => {
    const asked = gate();
    const wanted = gate();
    const replica = await fixture.replica(
      ({ agents }) => ({
        agents: {
          ...agents,
          ensureVm: async (...order) => {
            asked.open();
            await wanted.opened;
            return agents.ensureVm(...order);
          },
        },
      }),
      { lifecycle: LIFECYCLE },
    );
    await fixture.host(replica, 'oak', ROOMY);
    const { id } = await replica.control.createVm({ resources: SMALL }, tester);
    await asked.opened;
    await replica.control.deleteVm(id, tester);
    wanted.open();
    await eventually('the end of it', async () => (await replica.ports.catalogue.vm(id)) === null);
  });

  /** A replica whose records wait for the gate. */
  async function recordingBehind(door: Promise<void>, isWanted: boolean) {
    const sizes: number[] = [];
    let turns = 0;
    let ended = 0;
    const watched = (turn: PlacementTurn<HostTable>): PlacementTurn<HostTable> => ({
      get fleet() {
        return turn.fleet;
      },
      get epoch() {
        return turn.epoch;
      },
      isWanted,
      catchUp: () => turn.catchUp(),
      book: (bookings) => turn.book(bookings),
      end: async () => {
        ended += 1;
        await turn.end();
      },
    });
    const replica = await fixture.replica(({ catalogue, ledger }) => {
      const record: Catalogue['record'] = async (...batch) => {
        sizes.push(batch[2].length);
        await door;
        return catalogue.record(...batch);
      };
      return {
        catalogue: { ...catalogue, record },
        ledger: {
          state: () => ledger.state(),
          view: () => ledger.view(),
          commit: (bookings) => ledger.commit(bookings),
          release: (bookings) => ledger.release(bookings),
          pushHosts: (hosts) => ledger.pushHosts(hosts),
          overdueBookings: (ageMs, limit) => ledger.overdueBookings(ageMs, limit),
          totals: () => ledger.totals(),
          stage: (...part) => ledger.stage(...part),
          swap: (...made) => ledger.swap(...made),
          clearAway: (...all) => ledger.clearAway(...all),
          close: () => ledger.close(),
          openTurn: async () => {
            turns += 1;
            return watched(await ledger.openTurn());
          },
        },
      };
    }, PATIENT);
    return { replica, seen: () => ({ sizes, turns, ended }) };
  }

  it('goes in halves: one is placed while the other is being recorded', async () => {
    const door = gate();
    const { replica, seen } = await recordingBehind(door.opened, false);
    await fixture.host(replica, 'oak', ROOMY);
    const answers = createMany(replica, 32);
    await eventually('two records', () => Promise.resolve(seen().sizes.length === 2));
    expect(seen()).toMatchObject({ sizes: [16, 16], turns: 1 });
    door.open();
    expect(await answers).toHaveLength(32);
  });

  it.each([
    { isWanted: true, what: 'gives the lock back, if another replica wants it', ended: 1 },
    { isWanted: false, what: 'keeps the lock, if nobody else wants it', ended: 0 },
  ])('$what, while it is being recorded', async ({ isWanted, ended }) => {
    const door = gate();
    const { replica, seen } = await recordingBehind(door.opened, isWanted);
    await fixture.host(replica, 'oak', ROOMY);
    const first = replica.control.createVm({ resources: SMALL }, tester);
    await eventually('a record and the end of its turn', () =>
      Promise.resolve(seen().sizes.length === 1 && seen().ended === ended),
    );
    const second = replica.control.createVm({ resources: SMALL }, tester);
    await eventually('a second record', () => Promise.resolve(seen().sizes.length === 2));
    expect(seen().turns).toBe(isWanted ? 2 : 1);
    door.open();
    expect(await Promise.all([first, second])).toHaveLength(2);
  });
});
