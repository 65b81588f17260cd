/** Rows, hashes and entries that nothing of ours has written: set aside with a reason, the rest goes on. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { Agent } from '../../src/agent/agent.js';
import { openCatalogue } from '../../src/catalogue/catalogue.js';
import type { HostBody } from '../../src/wire/hosts.js';
import type { VerifyBody } from '../../src/wire/verify.js';
import type { VmBody } from '../../src/wire/vms.js';
import { ADMIN_TOKEN, call, Cluster, until, type Replica } from '../support/cluster.js';
import { silentLog } from '../support/log.js';
import { ledgerPrefix } from '../support/ledger-in-place.js';

const SMALL = { cpu: 1, memory: 64, disk: 64 };

let cluster: Cluster;
let replica: Replica;
let database: pg.Client;
let spoilt: Agent;
beforeAll(async () => {
  cluster = await Cluster.start();
  replica = await cluster.replica({ LOG_LEVEL: 'error' });
  database = new pg.Client({ connectionString: cluster.databaseUrl });
  await database.connect();
  await cluster.host(replica.url, 'sound', { cpu: 64, memory: 16_384, disk: 16_384 });
  spoilt = await cluster.host(replica.url, 'spoilt', { cpu: 64, memory: 16_384, disk: 16_384 });
}, 180_000);
afterAll(async () => {
  await database.end();
  await cluster.stop();
});

const create = (body: object = {}) =>
  call<VmBody>(replica.url, 'POST', '/v1/vms?wait=running&timeout=20', {
    resources: SMALL,
    constraints: { host: 'sound' },
    ...body,
  });

/** The way of a VM from its create to its removal goes through every loop that could be stopped. */
async function allGoesOn(): Promise<void> {
  const made = await until('a create', async () => {
    const answer = await create();
    return answer.status === 202 && answer.body;
  });
  const path = `/v1/vms/${made.id}`;
  await until('the VM to run', async () => {
    const { body } = await call<VmBody>(replica.url, 'GET', path);
    return body.state === 'running';
  });
  await call(replica.url, 'DELETE', path);
  await until(
    'the VM to be gone',
    async () => (await call(replica.url, 'GET', path)).status === 404,
  );
}

async function counted(kind: string): Promise<number> {
  const answer = await fetch(`${replica.url}/metrics`, {
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
  });
  const line = new RegExp(`^berth_set_aside_total\\{kind="${kind}"\\} (\\d+)$`, 'm');
  return Number(line.exec(await answer.text())?.[1] ?? 0);
}

describe('a row of a VM', () => {
  it.each([
    ['constraints', `'[1]'`],
    ['constraints', `'{"groups":"all"}'`],
    ['resources', `'{"cpu":-1e300}'`],
    ['resources', `'null'`],
    ['path', `'; drop table'`],
    ['attempts', `'5'`],
    ['violations', `'{}'`],
  ])(
    'with nonsense for %s is set aside, told, and can be deleted',
    async (column, value) => {
      const before = await counted('vm');
      const { body: vm } = await create();
      await database.query(
        `update vms set ${column} = ${value}, desired_state = 'stopped', due_at = clock_timestamp()
       where id = $1`,
        [vm.id],
      );
      await allGoesOn();
      await until('it to be set aside', async () => (await counted('vm')) > before);
      const shown = await call<VmBody>(replica.url, 'GET', `/v1/vms/${vm.id}`);
      expect(shown.body.reason).toMatchObject({ code: 'set_aside' });
      expect((await call(replica.url, 'GET', '/v1/vms')).status).toBe(200);
      await call(replica.url, 'DELETE', `/v1/vms/${vm.id}`);
      await until('it to be gone', async () => {
        return (await call(replica.url, 'GET', `/v1/vms/${vm.id}`)).status === 404;
      });
    },
    120_000,
  );

  it('that waits keeps nobody else from being placed', async () => {
    const { body: first } = await call<VmBody>(replica.url, 'POST', '/v1/vms', {
      resources: SMALL,
      whenFull: 'queue',
      constraints: { host: 'sound', exclude: ['sound'] },
    });
    await database.query(`update vms set constraints = '"none"' where id = $1`, [first.id]);
    const { body: second } = await create({ whenFull: 'queue' });
    await until('the second to run', async () => {
      const { body } = await call<VmBody>(replica.url, 'GET', `/v1/vms/${second.id}`);
      return body.state === 'running';
    });
    for (const { id } of [first, second]) await call(replica.url, 'DELETE', `/v1/vms/${id}`);
  }, 120_000);
});

describe('a row of a host', () => {
  it.each([
    ['labels', `'[]'`],
    ['labels', `'{"a":{"b":1}}'`],
    ['overrides', `'7'`],
    ['inventory', `'{"cpu":5}'`],
    ['used', `'{"cpu":"many"}'`],
  ])(
    'with nonsense for %s is closed with the reason',
    async (column, value) => {
      const { rows } = await database.query<Record<string, unknown>>(
        `select ${column} as sound from hosts where id = $1`,
        [spoilt.hostId],
      );
      // What its agent reports could mend the row before it is looked at.
      await database.query(`update hosts set ${column} = ${value}, report = 1e12 where id = $1`, [
        spoilt.hostId,
      ]);
      const { body: host } = await call<HostBody>(replica.url, 'GET', '/v1/hosts/spoilt');
      expect(host).toMatchObject({ mode: 'cordoned', modeOwner: 'berth' });
      expect(host.modeReason).toContain('set aside');
      expect((await call(replica.url, 'GET', '/v1/hosts')).status).toBe(200);
      await allGoesOn();
      await call(replica.url, 'POST', '/v1/ops/rebuild', { dryRun: false });
      await allGoesOn();
      await database.query(`update hosts set ${column} = $2, report = 0 where id = $1`, [
        spoilt.hostId,
        JSON.stringify(rows[0]?.sound),
      ]);
    },
    120_000,
  );

  it('with an address that is none only misses its polls', async () => {
    await database.query(`update hosts set address = 'nowhere at all', ip = null where id = $1`, [
      spoilt.hostId,
    ]);
    await until('it to be missed', async () => {
      const { body } = await call<HostBody>(replica.url, 'GET', '/v1/hosts/spoilt');
      return body.state !== 'up';
    });
    await allGoesOn();
  }, 120_000);
});

it('verify names those that are set aside', async () => {
  const { body: vm } = await create();
  await database.query(`update vms set constraints = '[1]' where id = $1`, [vm.id]);
  await database.query(`update hosts set overrides = '7' where id = $1`, [spoilt.hostId]);
  const { body } = await call<VerifyBody>(replica.url, 'GET', '/v1/ops/verify');
  const aside = body.findings.filter(({ code }) => code === 'row_set_aside');
  expect(aside.map(({ subject }) => subject.id)).toEqual([spoilt.hostId, vm.id]);
  await database.query(`update hosts set overrides = '{}' where id = $1`, [spoilt.hostId]);
  await call(replica.url, 'DELETE', `/v1/vms/${vm.id}`);
}, 120_000);

const statusOf = async (path: string): Promise<number> => {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const answer = await fetch(replica.url + path, { headers });
  await answer.text();
  return answer.status;
};

it('events that say nothing that is known are passed on, and those after them', async () => {
  await database.query(`
    insert into outbox (kind, subject_id, path, facts) values
      ('no.such.kind', '', ';', '[]'), ('vm.created', 'x', null, 'null'), ('', 'x', 'a', '"text"')`);
  await allGoesOn();
  expect(await statusOf('/v1/events?since=start&follow=false')).toBe(200);
  expect(await statusOf('/v1/audit')).toBe(200);
  await until('the outbox to be empty', async () => {
    const { rows } = await database.query('select from outbox');
    return rows.length === 0;
  });
}, 120_000);

it.each([
  ['resources', `'null'`],
  ['resources', `'{"cpu":"x"}'`],
  ['constraints', `'[1]'`],
  ['path', `';'`],
])(
  'a reservation with nonsense for %s ends in its time',
  async (column, value) => {
    const { body } = await call<{ id: string }>(replica.url, 'POST', '/v1/reservations', {
      name: 'spoilt',
      path: 'acme',
      resources: SMALL,
      expiresInS: 600,
    });
    await database.query(`update reservations set ${column} = ${value} where id = $1`, [body.id]);
    expect(await statusOf('/v1/reservations')).toBe(200);
    expect(await statusOf('/v1/ops/verify')).toBe(200);
    await call(replica.url, 'POST', '/v1/ops/rebuild', { dryRun: false });
    await database.query(`update reservations set until = clock_timestamp() where id = $1`, [
      body.id,
    ]);
    await until('it to end', async () => (await statusOf(`/v1/reservations/${body.id}`)) === 404);
  },
  120_000,
);

it('a drain that knows nothing of before leaves its host closed when it is cancelled', async () => {
  const drain = '/v1/hosts/sound/drain';
  for (const before of ['[]', '{"mode":"odd","until":"soon"}']) {
    expect((await call(replica.url, 'POST', drain, {})).status).toBe(202);
    await database.query(`update drains set before = $1`, [before]);
    expect((await call(replica.url, 'DELETE', drain)).status).toBe(200);
    const { body } = await call<HostBody>(replica.url, 'GET', '/v1/hosts/sound');
    expect(body.mode).toBe('cordoned');
    await call(replica.url, 'PATCH', '/v1/hosts/sound', { mode: 'enabled' });
  }
  await allGoesOn();
}, 120_000);

it('a token of no path there can be opens nothing', async () => {
  const { body } = await call<{ id: string; token: string }>(replica.url, 'POST', '/v1/tokens', {
    role: 'tenant',
    name: 'spoilt',
    path: 'acme',
  });
  await database.query(`update tokens set path = '; drop' where id = $1`, [body.id]);
  const answer = await fetch(`${replica.url}/v1/vms`, {
    headers: { authorization: `Bearer ${body.token}` },
  });
  expect(answer.status).toBe(401);
  expect(await statusOf('/v1/tokens')).toBe(200);
}, 120_000);

it('samples of usage that cannot be read are left out of the history and of the sums', async () => {
  await database.query(`
    insert into usage_samples (scope, id, step, at, resources)
    select 'total', '', '5m', now() - n * interval '2 hours', (array['null', '{"cpu":5}', '[1]',
      '{"cpu":{"capacity":"x"}}', '{"cpu":{"capacity":1,"limit":1,"booked":1,"used":null}}'])[n]::jsonb
    from generate_series(1, 5) n`);
  const history = `/v1/usage/history?step=5m&from=${new Date(Date.now() - 86_400_000).toISOString()}`;
  expect(await statusOf(history)).toBe(200);
  const catalogue = await openCatalogue({ databaseUrl: cluster.databaseUrl }, { log: silentLog });
  await catalogue.rollUpUsage(new Date());
  await catalogue.close();
  const { rows } = await database.query(`
    select from usage_samples where step = '1h' and scope = 'total'`);
  expect(rows).toHaveLength(5);
}, 120_000);

describe('in Redis', () => {
  it.each([
    ['facts of a host', 'facts', '{"id":'],
    ['an amount of a host', 'used:cpu', 'many'],
    ['another amount of a host', 'used:memory', '1e300'],
  ])(
    '%s that cannot be read has the ledger made anew',
    async (_what, field, value) => {
      const redis = cluster.redis.client();
      const hash = async () => `${await ledgerPrefix(redis)}host:${spoilt.hostId}`;
      await redis.hset(await hash(), field, value);
      // A mirror reads hashes again when its place in the stream is gone.
      await redis.xadd('berth:{main}:log', '*', 'n', 'not a number', 'facts', '{{{');
      await allGoesOn();
      await until('a hash that can be read', async () => {
        const found = await redis.hget(await hash(), field);
        return found !== value;
      });
      await allGoesOn();
    },
    120_000,
  );
});
