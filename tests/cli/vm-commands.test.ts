/** `berth vm …` against a server: what is sent, what is printed, how it ends. */
import { afterEach, describe, expect, it } from '@jest/globals';
import type { VmBody } from '../../src/wire/vms.js';
import {
  createdVmsSchema,
  createVmSchema,
  createVmsSchema,
  createVmQuerySchema,
  stopVmSchema,
  vmListQuerySchema,
} from '../../src/wire/vms.js';
import { NOWHERE, problemDocument, vmDocument } from './documents.js';
import { berth, startServer, words, type Call, type Reply, type Server } from './terminal.js';

let server: Server | undefined;
afterEach(() => server?.stop());

async function run(line: string, answer: (call: Call) => Reply) {
  await server?.stop();
  server = await startServer(answer);
  const outcome = await berth(words(line), { BERTH_URL: server.url, BERTH_TOKEN: 't' });
  return { ...outcome, calls: server.calls };
}

const always = (document: unknown) => (): Reply => ({ document });

/** Answers as the API does: by id, or a list in pages. */
const fleetOf =
  (vms: readonly VmBody[]) =>
  ({ method, path, query }: Call): Reply => {
    if (path === '/v1/vms') {
      const from = Number(query.cursor ?? '0');
      const to = from + Number(query.limit);
      const nextCursor = to < vms.length ? to.toString() : null;
      return { document: { items: vms.slice(from, to), nextCursor } };
    }
    const vm = vms.find(({ id }) => path === `/v1/vms/${id}` || path.startsWith(`/v1/vms/${id}/`));
    if (vm === undefined) return { problem: problemDocument('not_found') };
    return { document: vm, status: method === 'GET' ? 200 : 202 };
  };

describe('berth vm create', () => {
  it('sends all that was asked for, waits, and says where the VM runs', async () => {
    const { code, stdout, stderr, calls } = await run(
      'vm create --name web-1 --image debian-12 --path acme:web --cpu 2 --memory 2GiB --disk 10G' +
        ' --resource gpu=1 --zone zone-a --require disk=ssd --require net=fast --forbid rack=r1' +
        ' --host host-2 --exclude host-3 --exclude host-4 --timeout 5',
      always(vmDocument()),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('web-1 is running on host-2.');
    expect(stdout).toContain('cpu 2, memory 2GiB, disk 10GiB');
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatchObject({
      method: 'POST',
      path: '/v1/vms',
      authorization: 'Bearer t',
      idempotencyKey: expect.stringMatching(/^[0-9a-f-]{36}$/),
      query: { wait: 'running', timeout: '5' },
      body: {
        name: 'web-1',
        image: 'debian-12',
        path: 'acme:web',
        resources: { cpu: 2, memory: 2_048, disk: 10_240, gpu: 1 },
        constraints: {
          zone: 'zone-a',
          labels: { required: { disk: 'ssd', net: 'fast' }, forbidden: { rack: 'r1' } },
          host: 'host-2',
          exclude: ['host-3', 'host-4'],
        },
      },
    });
    expect(createVmSchema.safeParse(calls[0]?.body).success).toBe(true);
    expect(createVmQuerySchema.safeParse(calls[0]?.query).success).toBe(true);
  });

  it('asks for little when nothing is said, and does not wait with --no-wait', async () => {
    const { code, stdout, calls } = await run(
      'vm create --no-wait --id mine',
      always(vmDocument({ id: 'mine', state: 'placed' })),
    );
    expect(code).toBe(0);
    expect(stdout).toContain('web-1 is placed on host-2.');
    expect(calls[0]?.query).toEqual({});
    expect(calls[0]?.body).toEqual({
      id: 'mine',
      resources: { cpu: 1, memory: 512, disk: 1_024 },
    });
  });

  const waiting = vmDocument({
    state: 'waiting',
    host: null,
    allocation: null,
    attempts: [],
    waitUntil: '2026-11-21T12:00:00.000Z',
  });

  it('waits in line with --queue, and says until when', async () => {
    const { code, stdout, calls } = await run(
      'vm create --no-wait --queue --deadline 2h',
      always(waiting),
    );
    expect(code).toBe(0);
    expect(stdout).toContain('web-1 is waiting for room, until 2026-11-21T12:00:00.000Z at most.');
    expect(calls[0]?.body).toMatchObject({ whenFull: 'queue', deadlineS: 7_200 });
    expect(createVmSchema.safeParse(calls[0]?.body).success).toBe(true);
  });

  it('tells who still waits for room how to end that', async () => {
    const { code, stderr, calls } = await run('vm create --queue --timeout 3', always(waiting));
    expect(code).toBe(1);
    expect(calls[0]?.body).toMatchObject({ whenFull: 'queue' });
    expect(calls[0]?.body).not.toHaveProperty('deadlineS');
    expect(stderr).toContain('does not run after 3 s; it is waiting');
    expect(stderr).toContain(`berth vm delete ${waiting.id}`);
  });

  it.each(['0s', '2w', 'soon', '-1h'])('takes no deadline of %s', async (text) => {
    const { code, stderr, calls } = await run(`vm create --deadline=${text}`, always(waiting));
    expect({ code, calls }).toEqual({ code: 2, calls: [] });
    expect(stderr).toContain('such as 45s, 30m, 2h or 7d');
  });

  it('prints what the API said with --json, words of a newer one too', async () => {
    const document = { ...vmDocument(), mood: 'sunny', state: 'migrating' };
    const { code, stdout } = await run('vm create --no-wait --json', always(document));
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(document);
  });

  it('ends with 4 when no host fits, with counts and the nearest host', async () => {
    const { code, stdout, stderr } = await run('vm create', () => ({
      problem: problemDocument('no_feasible_host', { summary: NOWHERE }),
    }));
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' });
    expect(stderr).toContain('error: No host can take this VM. (no_feasible_host)');
    expect(stderr).toContain('of 2 hosts, passed over for: insufficient 1, cordoned 1.');
    expect(stderr).toContain('The nearest, host-3, lacks 1536MiB of memory.');
    expect(stderr).toContain('berth place');
    expect(stderr).toContain('request: request-42');
  });

  it('says which one of many finds no host', async () => {
    const { code, stderr } = await run('vm create --count 3', () => ({
      problem: problemDocument('no_feasible_host', { summary: NOWHERE, index: 1 }),
    }));
    expect(code).toBe(4);
    expect(stderr).toContain('number 2 of them finds none, so none was made.');
  });

  const failed = (code: string) =>
    vmDocument({
      state: 'failed',
      host: null,
      allocation: null,
      reason: { code, detail: 'every host refused' },
      attempts: [
        {
          host: { id: 'h-2', name: 'host-2' },
          at: '2026-11-21T10:00:00.000Z',
          outcome: 'refused',
          detail: 'memory is short',
        },
      ],
    });

  it.each([
    ['boot_failed', 1],
    ['no_feasible_host', 4],
    ['wait_deadline', 4],
  ])('tells why a VM failed: %s ends with %d', async (reason, exitCode) => {
    const { code, stdout, stderr } = await run('vm create', always(failed(reason)));
    expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' });
    expect(stderr).toContain(`web-1 failed: every host refused (${reason})`);
    expect(stderr).toContain('host-2: refused, memory is short');
  });

  it('fails when the VM does not run in time, and with --json still prints it', async () => {
    const vm = vmDocument({ state: 'creating' });
    const { code, stdout, stderr } = await run('vm create --timeout 3 --json', always(vm));
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual(vm);
    expect(stderr).toContain('does not run after 3 s; it is creating');
  });

  it('says how to repeat safely when the connection broke', async () => {
    const { code, stderr, calls } = await run('vm create', () => 'hang up');
    expect(code).toBe(5);
    expect(stderr).toContain(`--key ${calls[0]?.idempotencyKey ?? '?'}`);
  });

  it('asks for groups, a strategy and a reservation', async () => {
    const { code, calls } = await run(
      'vm create --no-wait --key mine --group web:anti-affinity --group db:soft-affinity' +
        ' --strategy best-fit --reservation rsv-1',
      always(vmDocument()),
    );
    expect(code).toBe(0);
    expect(calls[0]).toMatchObject({
      idempotencyKey: 'mine',
      body: {
        constraints: {
          groups: [
            { name: 'web', policy: 'anti-affinity' },
            { name: 'db', policy: 'soft-affinity' },
          ],
        },
        strategy: 'best-fit',
        reservation: 'rsv-1',
      },
    });
    expect(createVmSchema.safeParse(calls[0]?.body).success).toBe(true);
  });

  it.each(['--group web', '--group web:close', '--group :affinity', '--strategy best'])(
    'does not take %s',
    async (options) => {
      const { code, calls } = await run(`vm create ${options}`, always(vmDocument()));
      expect({ code, calls }).toEqual({ code: 2, calls: [] });
    },
  );

  it('makes many alike, and ends with 4 when some found no place', async () => {
    const created = createdVmsSchema.parse({
      items: [
        { index: 0, status: 'placed', vm: vmDocument({ name: 'web-1' }) },
        {
          index: 1,
          status: 'refused',
          problem: { code: 'no_feasible_host', detail: 'No host can take this VM.' },
        },
      ],
      placed: 1,
      waiting: 0,
      refused: 1,
    });
    const { code, stdout, stderr, calls } = await run(
      'vm create --name web --count 2 --partial',
      always(created),
    );
    expect(code).toBe(4);
    expect(calls[0]?.body).toMatchObject({ name: 'web', count: 2, partial: true });
    expect(createVmsSchema.safeParse(calls[0]?.body).success).toBe(true);
    expect(stdout).toContain('1 of 2 VMs have a place.');
    expect(stdout).toMatch(/web-1 +\S+ +running +host-2/);
    expect(stderr).toContain('1 of 2 VMs found no place.');
    const shown = await run('vm create --count 2 --partial --json', always(created));
    expect(JSON.parse(shown.stdout)).toEqual(created);
  });
});

describe('berth vm list', () => {
  const many = Array.from({ length: 230 }, (_, at) =>
    vmDocument({ id: `vm-${at.toString()}`, name: `name-${at.toString()}` }),
  );

  it('follows the cursors to the end', async () => {
    const { code, stdout, calls } = await run('vm list', fleetOf(many));
    expect(code).toBe(0);
    expect(calls.map(({ query }) => query.cursor)).toEqual([undefined, '100', '200']);
    for (const { query } of calls) expect(vmListQuerySchema.safeParse(query).success).toBe(true);
    expect(stdout.trimEnd().split('\n')).toHaveLength(231);
  });

  it('stops at --limit and says that there is more', async () => {
    const { stdout, calls } = await run('vm list --limit 120', fleetOf(many));
    expect(calls.map(({ query }) => query.limit)).toEqual(['100', '20']);
    expect(stdout).toContain('name-119');
    expect(stdout).not.toContain('name-120 ');
    expect(stdout).toContain('more; raise --limit');
  });

  it('prints one document of all pages with --json', async () => {
    const { stdout } = await run('vm list --json', fleetOf(many));
    expect(JSON.parse(stdout)).toEqual({ items: many, nextCursor: null });
  });

  it('hands filters on', async () => {
    const { calls } = await run('vm list --host host-2 --path acme --state failed', fleetOf([]));
    expect(calls[0]?.query).toEqual({
      host: 'host-2',
      path: 'acme',
      state: 'failed',
      limit: '100',
    });
  });

  it('says so when there are none', async () => {
    expect((await run('vm list', fleetOf([]))).stdout).toBe('No VMs.\n');
  });

  it('fits 100 columns, with ids whole and long names cut', async () => {
    const long = vmDocument({
      name: 'n'.repeat(63),
      host: { id: 'h-2', name: 'h'.repeat(63) },
      resources: { cpu: 128, memory: 1_000_000, disk: 9_999_999 },
    });
    const { stdout } = await run('vm list', fleetOf([long, vmDocument()]));
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
    expect(stdout).toContain(long.id);
    expect(stdout).toContain('n…');
    const lines = stdout.split('\n').slice(0, 3);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(lines[0]).toMatch(/^NAME +ID +STATE +HOST +CPU +MEMORY +DISK$/);
  });
});

describe('berth vm show', () => {
  it('shows host, state, allocation, reason and attempts', async () => {
    const vm = vmDocument({
      state: 'unknown',
      reason: { code: 'host_down', detail: 'the host does not answer' },
      constraints: {
        zone: 'zone-a',
        labels: { required: { disk: 'ssd' }, forbidden: { rack: 'r1' } },
        exclude: ['host-9'],
      },
    });
    const { code, stdout } = await run(`vm show ${vm.id}`, fleetOf([vm]));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^state +unknown, wanted running$/m);
    expect(stdout).toMatch(/^host +host-2 \(h-2\)$/m);
    expect(stdout).toMatch(/^allocation +assignment 17, booking booking-7$/m);
    expect(stdout).toMatch(/^reason +the host does not answer \(host_down\)$/m);
    expect(stdout).toMatch(
      /^constraints +zone zone-a, with disk=ssd, without rack=r1, not on host-9$/m,
    );
    expect(stdout).toMatch(/^2026-11-21T10:00:00.000Z +host-2 +placed$/m);
  });

  it('lets no text of others steer the terminal', async () => {
    const vm = vmDocument({
      reason: { code: 'odd', detail: 'red \u001b[31malert\u0007\nname  forged \u202e' },
    });
    const { stdout } = await run(`vm show ${vm.id}`, fleetOf([vm]));
    expect(stdout.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect(stdout).not.toContain('\u202e');
    expect(stdout).not.toMatch(/^name +forged/m);
  });
});

describe('a VM by name', () => {
  const web = vmDocument({ id: 'id-1', name: 'web' });
  const twins = [
    vmDocument({ id: 'id-2', name: 'twin' }),
    vmDocument({ id: 'id-3', name: 'twin', state: 'failed' }),
  ];
  const fillers = Array.from({ length: 150 }, (_, at) =>
    vmDocument({ id: `filler-${at.toString()}`, name: 'filler' }),
  );
  const fleet = fleetOf([...fillers, web, ...twins]);

  it.each([
    ['show', 'GET', '/v1/vms/id-1'],
    ['delete', 'DELETE', '/v1/vms/id-1'],
    ['start', 'POST', '/v1/vms/id-1/start'],
    ['stop', 'POST', '/v1/vms/id-1/stop'],
  ])('%s finds it on whatever page it is', async (verb, method, path) => {
    const { code, stdout, calls } = await run(`vm ${verb} web --json`, fleet);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(web);
    if (verb !== 'show') expect(calls.at(-1)).toMatchObject({ method, path });
  });

  it('is refused when two have it, with their ids, and nothing is deleted', async () => {
    const { code, stderr, calls } = await run('vm delete twin', fleet);
    expect(code).toBe(2);
    expect(stderr).toMatch(/id-2 {2}running\n.*id-3 {2}failed/);
    expect(calls.map(({ method }) => method)).not.toContain('DELETE');
  });

  it('means the id where one VM has the word as id and another as name', async () => {
    const confusing = [vmDocument({ id: 'a', name: 'b' }), vmDocument({ id: 'b', name: 'a' })];
    const { calls } = await run('vm delete a', fleetOf(confusing));
    expect(calls.at(-1)).toMatchObject({ method: 'DELETE', path: '/v1/vms/a' });
  });

  it('ends with 3 when nobody has it', async () => {
    const { code, stderr } = await run('vm stop nobody', fleet);
    expect(code).toBe(3);
    expect(stderr).toContain('There is no VM with the id or name nobody.');
  });

  it('asks nobody about what can be neither', async () => {
    const { code, calls } = await run('vm show ../hosts', fleet);
    expect({ code, calls }).toEqual({ code: 2, calls: [] });
  });
});

describe('start, stop and delete', () => {
  it.each([
    ['start', 'web-1 is to run; it is running now.'],
    ['stop', 'web-1 is to stop; it is running now.'],
    ['delete', 'is being deleted.'],
  ])('%s says what happens now', async (verb, says) => {
    const vm = vmDocument();
    const { code, stdout } = await run(`vm ${verb} ${vm.id}`, fleetOf([vm]));
    expect(code).toBe(0);
    expect(stdout).toContain(says);
  });

  it('stop asks for force only when it is told to', async () => {
    const vm = vmDocument();
    const gentle = await run(`vm stop ${vm.id}`, fleetOf([vm]));
    expect(gentle.calls.at(-1)?.body).toBeUndefined();
    const forced = await run(`vm stop ${vm.id} --force`, fleetOf([vm]));
    expect(forced.code).toBe(0);
    const { path, body } = forced.calls.at(-1) ?? {};
    expect([path, stopVmSchema.parse(body)]).toEqual([`/v1/vms/${vm.id}/stop`, { force: true }]);
    const { code, stderr } = await run(`vm start ${vm.id} --force`, fleetOf([vm]));
    expect(code).toBe(2);
    expect(stderr).toContain("unknown option '--force'");
  });

  it('ends with 4 when the state does not allow it', async () => {
    const vm = vmDocument();
    const { code, stderr } = await run(`vm start ${vm.id}`, ({ method }) =>
      method === 'GET' ? { document: vm } : { problem: problemDocument('state_conflict') },
    );
    expect(code).toBe(4);
    expect(stderr).toContain('(state_conflict)');
  });
});
