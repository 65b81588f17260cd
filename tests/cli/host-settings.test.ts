/** `berth host set`, `berth host cordon` with an end, and `berth usage` against a server. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { patchHostSchema } from '../../src/wire/hosts.js';
import { usageHistorySchema, usageSchema } from '../../src/wire/usage.js';
import { hostDocument } from './documents.js';
import { berth, startServer, words, type Call, type Reply, type Server } from './terminal.js';

let server: Server | undefined;
afterEach(() => server?.stop());

async function run(line: string | readonly string[], answer: (call: Call) => Reply) {
  await server?.stop();
  server = await startServer(answer);
  const args = typeof line === 'string' ? words(line) : line;
  const outcome = await berth(args, { BERTH_URL: server.url, BERTH_TOKEN: 't' });
  return { ...outcome, calls: server.calls };
}

const always = (document: unknown) => (): Reply => ({ document });

describe('berth host set', () => {
  const before = hostDocument({
    overrides: { zone: 'z', labels: { rack: 'r1', row: '2' }, overcommit: { cpu: 2, memory: 1.5 } },
  });

  it.each([
    ['--zone zone-b', { zone: 'zone-b' }],
    ['--label rack=r7', { labels: { rack: 'r7', row: '2' } }],
    ['--overcommit cpu=3.5', { overcommit: { cpu: 3.5, memory: 1.5 } }],
    [
      '--reserve memory=0.2 --total gpu=4 --total memory=64GiB',
      { reserve: { memory: 0.2 }, totals: { gpu: 4, memory: 65_536 } },
    ],
    ['--unset zone --unset overcommit', { zone: null, overcommit: {} }],
    ['--unset label.row', { labels: { rack: 'r1' } }],
    ['--unset overcommit.cpu --overcommit disk=2', { overcommit: { memory: 1.5, disk: 2 } }],
    ['--unset label --label a=b', { labels: { a: 'b' } }],
  ])('%s keeps what was said of other names', async (options, body) => {
    const { code, calls } = await run(`host set host-2 ${options}`, always(before));
    expect(code).toBe(0);
    expect(calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /v1/hosts/host-2',
      'PATCH /v1/hosts/host-2',
    ]);
    expect(calls[1]?.body).toEqual(body);
    expect(patchHostSchema.safeParse(calls[1]?.body).success).toBe(true);
  });

  it.each([
    ['host set host-2'],
    ['host set host-2 --unset colour'],
    ['host set host-2 --unset zone.a'],
    ['host set host-2 --overcommit cpu'],
    ['host set host-2 --overcommit cpu=-1'],
    ['host set host-2 --label rack'],
    ['host set host-2 --total gpu=many'],
    ['host set ../x --zone a'],
  ])('%s changes nothing', async (line) => {
    const { code, calls } = await run(line, always(before));
    expect(code).toBe(2);
    expect(calls.filter(({ method }) => method === 'PATCH')).toEqual([]);
  });

  it('is shown, with what is over-full, used and without a record', async () => {
    const cpu = { ...before.resources.cpu!, used: 3, orphaned: 2 };
    const { stdout } = await run(
      'host show host-2',
      always({
        ...before,
        overFull: true,
        notEnforced: ['Upload limits of VMs are not enforced (no ifb).'],
        mode: 'cordoned',
        modeReason: 'repair',
        modeOwner: 'jo',
        modeUntil: '2026-11-21T12:00:00.000Z',
        resources: { ...before.resources, cpu },
      }),
    );
    expect(stdout).toMatch(/^mode +cordoned: repair \(jo\), until 2026-11-21T12:00:00.000Z$/m);
    expect(stdout).toMatch(
      /^set by hand +zone=z, labels.rack=r1, labels.row=2, overcommit.cpu=2, overcommit.memory=1.5$/m,
    );
    expect(stdout).toMatch(/^Over-full: /m);
    expect(stdout).toMatch(/^Not enforced on this host:\n {2}Upload limits .* \(no ifb\)\.$/m);
    expect(stdout).toMatch(/^VMs without a record take cpu 2,/m);
    expect(stdout).toMatch(/^cpu +8 .* 3 +vCPU/m);
  });
});

describe('berth host cordon', () => {
  it('says why, whom to ask, and for how long', async () => {
    const { code, calls } = await run(
      ['host', 'cordon', 'host-2', '--reason', 'new memory', '--owner', 'jo', '--for', '2h'],
      always(hostDocument({ mode: 'cordoned' })),
    );
    expect(code).toBe(0);
    expect(calls[0]?.body).toEqual({
      mode: 'cordoned',
      reason: 'new memory',
      owner: 'jo',
      expiresInS: 7_200,
    });
    expect(patchHostSchema.safeParse(calls[0]?.body).success).toBe(true);
  });
});

describe('berth usage', () => {
  const resources = {
    cpu: { capacity: 32, limit: 32, booked: 8, used: 3, unit: 'vCPU' },
    disk: { capacity: 2_048, limit: 0, booked: 0, used: null, unit: 'MiB' },
  };
  const now = usageSchema.parse({
    at: '2026-11-21T10:00:00.000Z',
    total: resources,
    zones: [{ zone: 'zone-a', hosts: 2, resources }],
  });

  it('shows the total', async () => {
    const { code, stdout, calls } = await run('usage', always(now));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^total +cpu +32 +32 +8 +25% +3$/m);
    expect(stdout).toMatch(/^ +disk +2GiB +0MiB +0MiB +- +-$/m);
    expect(stdout).not.toContain('zone-a');
    expect(calls[0]?.path).toContain('/v1/usage');
  });

  it('shows each zone or host', async () => {
    expect((await run('usage --by zone', always(now))).stdout).toMatch(/^zone-a +cpu/m);
    const host = { host: { id: 'h-2', name: 'host-2' }, zone: 'a', state: 'up', mode: 'enabled' };
    const { zones: _zones, ...rest } = now;
    const hosts = usageSchema.parse({ ...rest, hosts: [{ ...host, resources }] });
    const { stdout } = await run('usage --by host', always(hosts));
    expect(stdout).toMatch(/^host-2 +cpu/m);
  });

  const history = usageHistorySchema.parse({
    items: [
      {
        at: '2026-11-21T09:00:00.000Z',
        resources: { cpu: { ...resources.cpu, bookedMax: 9, usedMax: null } },
      },
    ],
    nextCursor: null,
  });

  it('shows how it was', async () => {
    const { code, stdout, calls } = await run(
      'usage --history --zone zone-a --hourly --last 7d',
      always(history),
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^2026-11-21T09:00:00.000Z +cpu +32 +8 +9 +3 +-$/m);
    const query = JSON.stringify(calls[0]);
    for (const part of ['/v1/usage/history', 'zone-a', '1h']) expect(query).toContain(part);
  });

  it('says so when nothing is kept, and prints what the API says with --json', async () => {
    const none = await run('usage --history', always({ items: [], nextCursor: null }));
    expect(none.stdout).toContain('Nothing is kept');
    const { stdout } = await run('usage --json', always(now));
    expect(JSON.parse(stdout)).toEqual(now);
  });
});
