/** `berth orphan …` against a server. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { adoptSchema, orphanSchema, straysSchema } from '../../src/wire/orphans.js';
import { problemDocument, vmDocument } from './documents.js';
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

const AT = '2026-11-21T10:00:00.000Z';
const HOST = { id: 'h-2', name: 'host-2' };
const ORPHAN = orphanSchema.parse({
  host: HOST,
  vmId: 'web-7',
  state: 'running',
  resources: { cpu: 2, memory: 2_048, disk: 10_240 },
  assignment: 7,
  firstSeenAt: AT,
  lastSeenAt: AT,
  recordedOn: null,
  leaving: false,
});
const STRAYS = straysSchema.parse({
  orphans: [ORPHAN, { ...ORPHAN, vmId: 'web-8', recordedOn: { id: 'h-3', name: 'host-3' } }],
  missing: [
    { vm: { id: 'vm-1', name: 'web-1' }, host: HOST, since: AT, strikes: 2, onMissing: 'mark' },
  ],
});

describe('berth orphan list', () => {
  it('prints what runs without a record, and what is missing', async () => {
    const { code, stdout, calls } = await run('orphan list', always(STRAYS));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^host-2 +web-7 +running +2 +2GiB +10GiB +-$/m);
    expect(stdout).toMatch(/^host-2 +web-8 +running +2 +2GiB +10GiB +host-3$/m);
    expect(stdout).toMatch(/^host-2 +vm-1 +web-1 +2026-11-21T10:00:00.000Z$/m);
    expect(calls).toMatchObject([{ method: 'GET', path: '/v1/ops/orphans' }]);
  });

  it('says so when there is nothing of either', async () => {
    const { stdout } = await run('orphan list', always({ orphans: [], missing: [] }));
    expect(stdout).toBe('None: hosts have what is recorded, and nothing else.\n');
  });

  it('prints the answer of the API with --json', async () => {
    const { stdout } = await run('orphan list --json', always(STRAYS));
    expect(JSON.parse(stdout)).toEqual(STRAYS);
  });
});

describe('berth orphan adopt and destroy', () => {
  it('adopts with the name and the path that are given, and without', async () => {
    const vm = vmDocument({ id: 'web-7', name: 'shop' });
    const { code, stdout, calls } = await run(
      'orphan adopt host-2 web-7 --name shop --path acme:web',
      always(vm),
    );
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'shop (web-7) is a VM on host-2 from now on.\n',
    });
    expect(calls).toMatchObject([
      {
        method: 'POST',
        path: '/v1/ops/orphans/host-2/web-7/adopt',
        body: { name: 'shop', path: 'acme:web' },
      },
    ]);
    const plain = await run('orphan adopt host-2 web-7 --json', always(vm));
    expect(plain.calls[0]?.body).toEqual({});
    expect(adoptSchema.safeParse(calls[0]?.body).success).toBe(true);
    expect(JSON.parse(plain.stdout)).toEqual(vm);
  });

  it('destroys', async () => {
    const { code, stdout, calls } = await run(
      'orphan destroy host-2 web-7',
      always({ ...ORPHAN, leaving: true }),
    );
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'web-7 is told to go from host-2 until it is gone.\n',
    });
    expect(calls).toMatchObject([
      { method: 'POST', path: '/v1/ops/orphans/host-2/web-7/destroy', body: {} },
    ]);
  });

  it('ends with the exit code of the refusal, and with 2 for what can be no id', async () => {
    const refused = await run('orphan adopt host-2 web-7', () => ({
      problem: problemDocument('id_conflict', { detail: 'It is recorded on host-3.' }),
    }));
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('It is recorded on host-3.');
    expect(refused.stderr).toContain('id_conflict');
    const odd = await run('orphan destroy host-2 ../x', always(ORPHAN));
    expect(odd.code).toBe(2);
    expect(odd.calls).toEqual([]);
  });
});
