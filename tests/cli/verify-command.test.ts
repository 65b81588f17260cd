/** `berth verify` against a server. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { verifySchema, type VerifyBody } from '../../src/wire/verify.js';
import { berth, startServer, words, type Call, type Reply, type Server } from './terminal.js';

let server: Server | undefined;
afterEach(() => server?.stop());

async function run(line: string, answer: (call: Call) => Reply) {
  await server?.stop();
  server = await startServer(answer);
  const outcome = await berth(words(line), { BERTH_URL: server.url, BERTH_TOKEN: 't' });
  return { ...outcome, calls: server.calls };
}

const DRIFT: VerifyBody['findings'][number] = {
  code: 'ledger_drift',
  subject: { kind: 'host', id: 'h-2', name: 'host-2' },
  detail: 'It differs.',
  expected: {},
  found: { cpu: 2, memory: 2_048 },
  repairable: true,
};
const ORPHAN: VerifyBody['findings'][number] = {
  code: 'vm_orphan',
  subject: { kind: 'vm', id: 'web-7' },
  detail: 'It is not recorded.\nIt runs.',
  repairable: false,
};

const report =
  (changes: Partial<VerifyBody> = {}) =>
  (): Reply => ({
    document: verifySchema.parse({
      dryRun: true,
      durationMs: 12,
      hosts: 3,
      bookings: 1,
      unchecked: 0,
      findings: [],
      ...changes,
    }),
  });

describe('berth verify', () => {
  it('ends with 0 when nothing is wrong', async () => {
    const { code, stdout, stderr, calls } = await run('verify', report());
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(
      'Verified, nothing changed (3 hosts, 1 booking, 12 ms).\nNothing is wrong.\n',
    );
    expect(calls).toMatchObject([{ method: 'GET', path: '/v1/ops/verify' }]);
  });

  it('shows each finding on its lines, ends with 1 and says what mends it', async () => {
    const { code, stdout, stderr } = await run(
      'verify',
      report({ unchecked: 1, findings: [DRIFT, ORPHAN] }),
    );
    expect(code).toBe(1);
    expect(stdout).toContain('could not be judged for 1 host:');
    expect(stdout).toContain(
      'ledger_drift  host host-2 (h-2)\n  It differs.\n  expected: nothing\n  found:    cpu 2, memory 2GiB\n',
    );
    expect(stdout).toContain('vm_orphan  vm web-7\n  It is not recorded. It runs.\n');
    expect(stderr).toBe(
      'error: 2 findings left.\nhint: berth verify --repair mends what can be mended by itself\n',
    );
  });

  it('only tells with --repair, and mends with --yes', async () => {
    const dry = await run('verify --repair', report({ findings: [DRIFT] }));
    expect(dry.code).toBe(1);
    expect(dry.stdout).toContain('host-2 (h-2) [would be mended]');
    expect(dry.stderr).toContain('hint: berth verify --repair --yes');
    expect(dry.calls).toMatchObject([{ method: 'POST', body: { dryRun: true } }]);

    const mended = { ...DRIFT, repaired: true };
    const done = await run('verify --repair --yes', report({ dryRun: false, findings: [mended] }));
    expect(done.code).toBe(0);
    expect(done.stdout).toContain('host-2 (h-2) [mended]');
    expect(done.calls).toMatchObject([{ method: 'POST', body: { dryRun: false } }]);

    const left = [mended, { ...DRIFT, repaired: false }];
    const part = await run('verify --repair --yes', report({ dryRun: false, findings: left }));
    expect(part.code).toBe(1);
    expect(part.stdout).toContain('[not mended]');
    expect(part.stderr).toBe('error: 1 finding left.\n');
  });

  it('prints the answer of the API with --json, and ends with the same code', async () => {
    const { code, stdout } = await run('verify --json', report({ findings: [DRIFT] }));
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ findings: [DRIFT] });
  });

  it('does not take --yes for an answer to nothing', async () => {
    const { code, calls } = await run('verify --yes', report());
    expect(code).toBe(2);
    expect(calls).toEqual([]);
  });
});
