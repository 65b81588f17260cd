/** What is wrong after a restore, a crash or an outage, and how it comes right by itself. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { DomainError } from '../../src/model/errors.js';
import type { Ports } from '../../src/control/ports.js';
import { systemClock } from '../../src/std/clock.js';
import { tester } from '../support/callers.js';
import { ControlFixture, eventually, settled, type TestReplica } from './control-fixture.js';

const SMALL = { cpu: 1, memory: 100, disk: 100 };
const ROOMY = { cpu: 16, memory: 10_000, disk: 10_000 };

const driftOf = async ({ control }: TestReplica): Promise<number> => {
  const report = await control.rebuild({ dryRun: true }, tester);
  return report.hosts.filter(({ drift }) => Object.keys(drift).length > 0).length;
};

const isReady = async ({ control }: TestReplica): Promise<boolean> =>
  (await control.readiness()).ready;

const rebuildsOf = ({ counted }: TestReplica): number =>
  counted.filter(({ name }) => name === 'berth_rebuilds_total').length;

describe('rebuild and repair', () => {
  let fixture: ControlFixture;
  beforeEach(async () => {
    fixture = await ControlFixture.start();
  });
  afterEach(() => fixture.stop());

  const create = ({ control }: TestReplica, id?: string) =>
    control.createVm({ ...(id === undefined ? {} : { id }), resources: SMALL }, tester);

  it('does not believe the ledger of another catalogue, whatever its epoch', async () => {
    const replica = await fixture.replica();
    await fixture.host(replica, 'oak', ROOMY);
    await create(replica);
    // A catalogue from a backup: it knows an older epoch and none of the VMs.
    const client = new pg.Client({ connectionString: fixture.databaseUrl });
    await client.connect();
    await client.query(
      `update meta set epoch = 1, high_water = 0, incarnation = 'older';
       delete from allocations; delete from vms; update hosts set allocated = '{}'`,
    );
    await client.end();
    await eventually('a rebuild', async () => (await isReady(replica)) && rebuildsOf(replica) > 1);
    expect(await driftOf(replica)).toBe(0);
    await expect(create(replica)).resolves.toMatchObject({ host: { name: 'oak' } });
  });

  it('rebuilds once for one loss, however many replicas notice and however long it takes', async () => {
    const slow = (ports: Ports): Partial<Ports> => {
      const ledger = ports.ledger;
      return {
        ledger: {
          ...boundTo(ledger),
          swap: async (...args: Parameters<typeof ledger.swap>) => {
            await systemClock.sleep(700);
            return ledger.swap(...args);
          },
        },
      };
    };
    const replicas = [
      await fixture.replica(slow),
      await fixture.replica(slow),
      await fixture.replica(slow),
    ];
    const before = replicas.reduce((sum, replica) => sum + rebuildsOf(replica), 0);
    await fixture.redis.flushAll();
    const [first] = replicas;
    if (first === undefined) throw new Error('no replica');
    await eventually('ready', () => isReady(first));
    // Long enough for every replica to look several times.
    await systemClock.sleep(2_500);
    expect(await isReady(first)).toBe(true);
    const after = replicas.reduce((sum, replica) => sum + rebuildsOf(replica), 0);
    expect(after - before).toBe(1);
  });

  it('does not believe a ledger whose rebuild died after the swap', async () => {
    let dies = false;
    const replica = await fixture.replica(({ catalogue }) => ({
      catalogue: {
        ...catalogue,
        agree: (...args: Parameters<typeof catalogue.agree>) =>
          dies
            ? Promise.reject(new DomainError('catalogue_unavailable', 'lost'))
            : catalogue.agree(...args),
      },
    }));
    await fixture.host(replica, 'oak', ROOMY);
    await settled(replica.control, await create(replica));
    dies = true;
    await expect(replica.control.rebuild({ dryRun: false }, tester)).rejects.toMatchObject({
      code: 'catalogue_unavailable',
    });
    expect(await isReady(replica)).toBe(false);
    dies = false;
    await eventually('another rebuild', () => isReady(replica));
    expect(await driftOf(replica)).toBe(0);
  });

  it('ends a create as failed when the host takes long to clear up after it', async () => {
    const replica = await fixture.replica();
    const agent = await fixture.host(replica, 'oak', ROOMY, {
      bootMs: 5,
      stopMs: 2_600,
      failNextCreates: 1,
    });
    const vm = await create(replica);
    await eventually(
      'an end',
      async () => (await replica.ports.catalogue.vm(vm.id))?.state === 'failed',
      20_000,
    );
    expect(await replica.ports.catalogue.vm(vm.id)).toMatchObject({ allocation: null });
    expect((await agent.call('GET', '/v1/vms')).body.items).toEqual([]);
  }, 40_000);

  it('tells a repeat to come back while nobody knows how the first create ended', async () => {
    let lose = true;
    const replica = await fixture.replica(
      ({ catalogue }) => ({
        catalogue: {
          ...catalogue,
          record: (...args: Parameters<Ports['catalogue']['record']>) =>
            lose
              ? Promise.reject(new DomainError('catalogue_unavailable', 'lost'))
              : catalogue.record(...args),
        },
      }),
      { bookingLeaseMs: 4_500 },
    );
    await fixture.host(replica, 'oak', ROOMY);
    await expect(create(replica, 'again')).rejects.toMatchObject({ code: 'catalogue_unavailable' });
    lose = false;
    await expect(create(replica, 'again')).rejects.toMatchObject({ code: 'create_in_progress' });
    await eventually('the lease over', () =>
      create(replica, 'again').then(
        () => true,
        () => false,
      ),
    );
  }, 40_000);

  it('hears of lost hosts and their VMs while Redis is away', async () => {
    const replica = await fixture.replica();
    const agent = await fixture.host(replica, 'oak', ROOMY);
    const vm = await settled(replica.control, await create(replica));
    await agent.agent.stop();
    await fixture.redis.down();
    const seen = async () => (await replica.ports.catalogue.vm(vm.id))?.state;
    await eventually('unknown', async () => (await seen()) === 'unknown', 20_000);
    await fixture.redis.up();
  }, 40_000);
});

/** The methods of a ledger, so that a copy of them can be put before it. */
function boundTo(ledger: Ports['ledger']): Omit<Ports['ledger'], 'swap'> {
  return {
    state: () => ledger.state(),
    openTurn: () => ledger.openTurn(),
    view: () => ledger.view(),
    commit: (bookings) => ledger.commit(bookings),
    release: (bookings) => ledger.release(bookings),
    pushHosts: (hosts) => ledger.pushHosts(hosts),
    overdueBookings: (olderThanMs, limit) => ledger.overdueBookings(olderThanMs, limit),
    totals: () => ledger.totals(),
    stage: (...args) => ledger.stage(...args),
    clearAway: (idleMs) => ledger.clearAway(idleMs),
    close: () => ledger.close(),
  };
}
