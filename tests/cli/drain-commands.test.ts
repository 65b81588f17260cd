/** `berth host drain …`, `berth host fence` and `berth host retire` against a server. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { drainRequestSchema, drainSchema, type DrainBody } from '../../src/wire/drains.js';
import { hostDocument, problemDocument } from './documents.js';
import { berth, startServer, type Call, type Reply, type Server } from './terminal.js';

let server: Server | undefined;
afterEach(() => server?.stop());

async function run(args: readonly string[], answer: (call: Call) => Reply) {
  await server?.stop();
  server = await startServer(answer);
  const outcome = await berth(['host', ...args], { BERTH_URL: server.url, BERTH_TOKEN: 't' });
  return { ...outcome, calls: server.calls };
}

const ELM = { id: 'id-of-elm', name: 'elm' };

type Move = DrainBody['moves'][number];

const move = (name: string, changes: Partial<Move> = {}): Move => ({
  vm: { id: `id-of-${name}`, name },
  state: 'planned',
  planned: ELM,
  target: null,
  detail: null,
  summary: null,
  ...changes,
});

const drain = (changes: Partial<DrainBody> = {}): DrainBody =>
  drainSchema.parse({
    host: { id: 'id-of-oak', name: 'oak' },
    state: 'draining',
    reason: 'disks',
    owner: 'jo',
    startedAt: '2026-11-21T10:00:00.000Z',
    endedAt: null,
    moves: [move('web-1')],
    ...changes,
  });

const BLOCKED = move('db-1', {
  state: 'blocked',
  planned: null,
  detail: 'it may be on this host only',
});

describe('berth host fence', () => {
  const fence = { at: '2026-11-21T10:00:00.000Z', reason: 'power is cut', by: 'jo' };
  const fenced = hostDocument({ name: 'oak', state: 'down', vms: 2, fence });

  it('says what it was told, and what that means', async () => {
    const args = ['fence', 'oak', '--reason', 'power is cut'];
    const { code, stdout, calls } = await run(args, () => ({ document: fenced }));
    expect(code).toBe(0);
    expect(calls).toMatchObject([
      { method: 'POST', path: '/v1/hosts/oak/fence', body: { reason: 'power is cut' } },
    ]);
    expect(stdout).toContain('oak is fenced since 2026-11-21T10:00:00.000Z: power is cut (jo).');
    expect(stdout).toContain('Staying with it: 2 VMs.');
    const json = await run([...args, '--json'], () => ({ document: fenced }));
    expect(JSON.parse(json.stdout)).toEqual(fenced);
  });

  it('asks nobody without a reason', async () => {
    const { code, stderr, calls } = await run(['fence', 'oak'], () => ({ document: fenced }));
    expect([code, calls]).toEqual([2, []]);
    expect(stderr).toContain('--reason');
  });

  it('is seen in the list and on the host', async () => {
    const list = await run(['list'], () => ({ document: { items: [fenced], nextCursor: null } }));
    expect(list.stdout).toMatch(/^oak +down, fenced /m);
    const shown = await run(['show', 'oak'], () => ({ document: fenced }));
    expect(shown.stdout).toMatch(/^fenced +power is cut \(jo\), since 2026-11-21T10:00:00.000Z$/m);
  });
});

describe('berth host drain', () => {
  it('--dry-run shows the plan and what blocks it', async () => {
    const plan = drain({ state: 'planned', moves: [move('web-1'), BLOCKED] });
    const { code, stdout, calls } = await run(['drain', 'oak', '--dry-run'], () => ({
      document: plan,
    }));
    expect(code).toBe(0);
    expect(calls).toMatchObject([
      { method: 'POST', path: '/v1/hosts/oak/drain', body: { dryRun: true } },
    ]);
    expect(stdout).toContain('oak would be drained so (disks; ask jo).');
    expect(stdout).toMatch(/^web-1 +planned +elm +-$/m);
    expect(stdout).toMatch(/^db-1 +blocked +- +-$/m);
    expect(stdout).toContain('db-1: it may be on this host only');
  });

  it('sends who asks and why, and does not wait', async () => {
    const args = ['drain', 'oak', '--reason', 'new disks', '--owner', 'jo', '--json'];
    const { code, stdout, calls } = await run(args, () => ({ document: drain(), status: 202 }));
    expect(code).toBe(0);
    expect(calls).toHaveLength(1);
    expect(calls[0]?.body).toEqual({ dryRun: false, reason: 'new disks', owner: 'jo' });
    expect(drainRequestSchema.safeParse(calls[0]?.body).success).toBe(true);
    expect(JSON.parse(stdout)).toEqual(drain());
  });

  it('--wait ends when the host is empty', async () => {
    const done = drain({
      state: 'done',
      endedAt: '2026-11-21T10:05:00.000Z',
      moves: [move('web-1', { state: 'moved', target: ELM })],
    });
    const { code, stdout, calls } = await run(['drain', 'oak', '--wait'], ({ method }) => ({
      document: method === 'POST' ? drain() : done,
    }));
    expect(code).toBe(0);
    expect(calls.map(({ method }) => method)).toEqual(['POST', 'GET']);
    expect(stdout).toContain('oak is drained');
    expect(stdout).toMatch(/^web-1 +moved +elm +elm$/m);
  });

  it('--wait ends with 4 when all that is left is blocked, or somebody cancels', async () => {
    const stuck = await run(['drain', 'oak', '--wait'], () => ({
      document: drain({ moves: [BLOCKED] }),
    }));
    expect(stuck.code).toBe(4);
    expect(stuck.stderr).toContain('oak is not empty: 1 VM cannot go anywhere now.');
    const cancelled = await run(['drain', 'oak', '--wait'], ({ method }) => ({
      document: method === 'POST' ? drain() : drain({ state: 'cancelled' }),
    }));
    expect(cancelled.code).toBe(4);
    expect(cancelled.stderr).toContain('was cancelled');
  });

  it.each([
    ['drain-status', 'GET'],
    ['drain-cancel', 'DELETE'],
  ])('%s calls %s', async (command, method) => {
    const { code, stdout, calls } = await run([command, 'oak'], () => ({
      document: drain({ moves: [] }),
    }));
    expect(code).toBe(0);
    expect(calls).toMatchObject([{ method, path: '/v1/hosts/oak/drain' }]);
    expect(stdout).toContain('It has no VMs.');
  });
});

describe('berth host retire', () => {
  const retired = () => ({ document: hostDocument({ mode: 'retired' }) });

  it('takes a host out', async () => {
    const { code, stdout, calls } = await run(['retire', 'host-2'], retired);
    expect(code).toBe(0);
    expect(calls).toMatchObject([{ method: 'DELETE', path: '/v1/hosts/host-2', query: {} }]);
    expect(stdout).toContain('host-2 is retired');
  });

  it('by force, with a reason', async () => {
    const { calls } = await run(['retire', 'host-2', '--force', '--reason', 'burnt down'], retired);
    expect(calls[0]?.query).toEqual({ force: 'true', reason: 'burnt down' });
  });

  it('ends with 4 while VMs are booked there', async () => {
    const { code, stderr } = await run(['retire', 'host-2'], () => ({
      problem: problemDocument('host_not_empty', { vms: 3, reservations: 0 }),
    }));
    expect(code).toBe(4);
    expect(stderr).toContain('host_not_empty');
  });
});
