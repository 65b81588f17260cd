/** `berth reservation …` against a server: what is sent, what is printed, how it ends. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { reservationSchema, reserveSchema } from '../../src/wire/reservations.js';
import { NOWHERE, problemDocument } from './documents.js';
import { berth, startServer, words, type Call, type Reply, type Server } from './terminal.js';

let server: Server | undefined;
afterEach(() => server?.stop());

async function run(line: string, answer: (call: Call) => Reply) {
  await server?.stop();
  server = await startServer(answer);
  const outcome = await berth(words(line), { BERTH_URL: server.url, BERTH_TOKEN: 't' });
  return { ...outcome, calls: server.calls };
}

const HELD = reservationSchema.parse({
  id: 'rsv-0b9ffb7e-7b0e-4b43-8a3c-6c6a5b0a4f1d',
  name: 'release',
  path: 'root',
  resources: { cpu: 8, memory: 16_384, disk: 1_024 },
  constraints: { zone: 'zone-a', groups: [{ name: 'web', policy: 'anti-affinity' }] },
  host: { id: 'h-2', name: 'host-2' },
  expiresAt: '2026-11-21T12:00:00.000Z',
  createdAt: '2026-11-21T10:00:00.000Z',
});

const held = (): Reply => ({ document: HELD });

describe('berth reservation', () => {
  it('holds room and says where and until when', async () => {
    const { code, stdout, calls } = await run(
      'reservation create --name release --cpu 8 --memory 16GiB --for 2h --group web:anti-affinity',
      () => ({ document: HELD, status: 201 }),
    );
    expect(code).toBe(0);
    expect(calls[0]).toMatchObject({
      method: 'POST',
      path: '/v1/reservations',
      idempotencyKey: expect.stringMatching(/^[0-9a-f-]{36}$/),
      body: { name: 'release', expiresInS: 7_200, resources: { cpu: 8, memory: 16_384 } },
    });
    expect(reserveSchema.safeParse(calls[0]?.body).success).toBe(true);
    expect(stdout).toContain('release holds room on host-2 until 2026-11-21T12:00:00.000Z.');
    expect(stdout).toContain(`berth vm create --reservation ${HELD.id}`);
  });

  it('ends with 4 when no host has the room', async () => {
    const { code, stderr } = await run('reservation create', () => ({
      problem: problemDocument('no_feasible_host', { summary: NOWHERE }),
    }));
    expect(code).toBe(4);
    expect(stderr).toContain('The nearest, host-3, lacks 1536MiB of memory.');
  });

  it('lists them within 100 columns', async () => {
    const { code, stdout } = await run('reservation list', () => ({
      document: { items: [HELD], nextCursor: null },
    }));
    expect(code).toBe(0);
    expect(stdout).toContain(HELD.id);
    expect(stdout).toContain('2026-11-21T12:00');
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
    const none = await run('reservation list', () => ({
      document: { items: [], nextCursor: null },
    }));
    expect(none.stdout).toBe('No reservations.\n');
  });

  it('shows one, and ends one', async () => {
    const shown = await run(`reservation show ${HELD.id}`, held);
    expect(shown.stdout).toContain('zone zone-a, anti-affinity of web');
    const ended = await run(`reservation delete ${HELD.id}`, held);
    expect(ended.calls[0]).toMatchObject({
      method: 'DELETE',
      path: `/v1/reservations/${HELD.id}`,
    });
    expect(ended.stdout).toContain('host-2 has its room back');
    const gone = await run('reservation delete rsv-1', () => ({
      problem: problemDocument('not_found'),
    }));
    expect(gone.code).toBe(3);
    expect((await run('reservation show a/b', held)).calls).toEqual([]);
  });

  it.each(['create', 'list', `show ${HELD.id}`, `delete ${HELD.id}`])(
    'prints what the API said with --json: %s',
    async (verb) => {
      const document = verb === 'list' ? { items: [HELD], nextCursor: null } : HELD;
      const { stdout } = await run(`reservation ${verb} --json`, () => ({ document }));
      expect(JSON.parse(stdout)).toEqual(document);
    },
  );
});
