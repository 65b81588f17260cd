/** The order of events when transactions overlap and end in another order than they began. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { openCatalogue } from '../../src/catalogue/catalogue.js';
import type { FleetEvent } from '../../src/model/events.js';
import type { Catalogue } from '../../src/model/ports.js';
import { TESTER } from '../support/callers.js';
import { silentLog } from '../support/log.js';
import { freshDatabase } from '../support/postgres.js';
import { placedVm, upHost } from './builders.js';
import { eventsWith, sequenced } from './events-contract.js';

const ALL = 100_000;

describe('the order of events', () => {
  let url: string;
  let catalogue: Catalogue;
  let other: Catalogue;
  const clients: pg.Client[] = [];
  beforeAll(async () => {
    url = await freshDatabase();
    catalogue = await openCatalogue({ databaseUrl: url }, { log: silentLog });
    other = await openCatalogue({ databaseUrl: url }, { log: silentLog });
  }, 30_000);
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.end()));
    await catalogue.close();
    await other.close();
  });

  const session = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: url });
    clients.push(client);
    await client.connect();
    return client;
  };

  const rename = (client: pg.Client, id: string, name: string) =>
    client.query('update vms set name = $2 where id = $1', [id, name]);

  const names = (events: readonly FleetEvent[]) => events.map(({ facts }) => facts.name);

  it('is that of the commits: what began first and ended last is not lost', async () => {
    const host = await upHost(catalogue);
    const a = await placedVm(catalogue, host);
    const b = await placedVm(catalogue, host);
    const { position: start } = await sequenced(catalogue);
    const [slow, quick] = [await session(), await session()];
    await slow.query('begin');
    await rename(slow, a.id, 'slow');
    await rename(quick, b.id, 'quick');

    // A reader that has already seen the later one must still be told of the earlier one.
    const seen = await sequenced(catalogue);
    const first = await catalogue.events({
      after: start,
      upTo: seen.position,
      filter: {},
      limit: ALL,
    });
    expect(names(first)).toEqual(['quick']);
    await slow.query('commit');
    const { position: upTo } = await sequenced(catalogue);
    const next = await catalogue.events({ after: seen.position, upTo, filter: {}, limit: ALL });
    expect(names(next)).toEqual(['slow']);
  });

  it('tells nothing of what was undone', async () => {
    const host = await upHost(catalogue);
    const vm = await placedVm(catalogue, host);
    const client = await session();
    await client.query('begin');
    await client.query(`select set_config('berth.actor', $1, true)`, [
      JSON.stringify({ ...TESTER, action: 'vm.stop' }),
    ]);
    await rename(client, vm.id, 'undone');
    await client.query('rollback');
    expect(await eventsWith(catalogue, { vmId: vm.id })).toHaveLength(1);
    const { items } = await catalogue.audit({ limit: 10, cursor: null, subject: vm.id });
    expect(items.filter(({ action }) => action === 'vm.stop')).toEqual([]);
  });

  it('has each change once and those of a VM in order, whoever writes and sequences at once', async () => {
    const host = await upHost(catalogue);
    const vms = await Promise.all([0, 1, 2, 3].map(() => placedVm(catalogue, host)));
    const { position: start } = await sequenced(catalogue);
    const ROUNDS = 50;
    let writing = true;
    const setter = await session();
    await setter.query(`update vms set name = '0' where id = any($1)`, [vms.map(({ id }) => id)]);
    const writers = vms.flatMap((vm, index) =>
      // Two writers a VM: they meet at its row.
      [0, 1].map(async () => {
        const client = await session();
        for (let round = 0; round < ROUNDS; round += 1) {
          await client.query('begin');
          // The row's own count shows the order in which its changes really took place.
          await client.query('update vms set name = (name::integer + 1)::text where id = $1', [
            vm.id,
          ]);
          // Others run between the change and its commit.
          if ((round + index) % 3 === 0) await client.query('select pg_sleep(0.002)');
          await client.query('commit');
        }
      }),
    );
    const seen: FleetEvent[] = [];
    const follow = async () => {
      let after = start;
      for (let last = false; ;) {
        const { head } = await (seen.length % 2 === 0 ? catalogue : other).sequenceEvents();
        seen.push(
          ...(await catalogue.events({ after, upTo: head.position, filter: {}, limit: ALL })),
        );
        after = head.position;
        if (last) return;
        last = !writing;
      }
    };
    const rival = async () => {
      while (writing) await other.sequenceEvents();
    };
    const following = follow();
    const rivalling = rival();
    await Promise.all(writers);
    writing = false;
    await Promise.all([following, rivalling]);
    // What a rival was just putting in order when the last look began.
    const upTo = await sequenced(catalogue);
    const after = seen.at(-1)?.position ?? start;
    seen.push(...(await catalogue.events({ after, upTo: upTo.position, filter: {}, limit: ALL })));

    for (const vm of vms) {
      const own = seen.filter(({ subjectId }) => subjectId === vm.id);
      expect(names(own).map(Number)).toEqual([...Array(2 * ROUNDS + 1).keys()]);
    }
    expect(new Set(seen.map(({ key }) => key)).size).toBe(seen.length);
    const positions = seen.map(({ position }) => position);
    expect(positions).toEqual(positions.map((_, index) => start + 1 + index));
  }, 60_000);
});
