/** `berth place`, `berth host …` and `berth rebuild` against a server. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { hostSchema, patchHostSchema } from '../../src/wire/hosts.js';
import { placementRequestSchema } from '../../src/wire/placements.js';
import { rebuildRequestSchema, rebuildSchema } from '../../src/wire/ops.js';
import {
  candidate,
  hostDocument,
  NOWHERE,
  placementDocument,
  problemDocument,
} from './documents.js';
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

const APART = { name: 'web', policy: 'soft-anti-affinity' } as const;
const NEAR = { name: 'db', policy: 'soft-affinity' } as const;

describe('berth host', () => {
  it('says of what nobody knows that it is unknown', async () => {
    const host = hostDocument();
    const network = {
      ...{ total: null, capacity: null, limit: null, available: null },
      ...{ reserved: 0, overcommit: 2, allocated: 5, orphaned: 0, used: null },
      ...{ source: 'unknown', unit: 'bytes/s' },
    } as const;
    const document = { ...host, resources: { ...host.resources, network } };
    expect(hostSchema.safeParse(document).success).toBe(true);
    const { stdout } = await run(`host show ${host.id}`, always(document));
    expect(stdout).toMatch(/^network +unknown +0 +x2 +unknown +5 +unknown +- +bytes\/s +unknown$/m);
  });
});

describe('berth place', () => {
  it('prints scores and shares, reasons with amounts, and why', async () => {
    const { code, stdout, calls } = await run(
      'place --cpu 2 --memory 2GiB --disk 10GiB --zone zone-a',
      always(placementDocument()),
    );
    expect(code).toBe(0);
    expect(stdout.split('\n')[0]).toBe('host-2 is chosen: why it is.');
    expect(stdout).not.toContain('made of');
    expect(stdout).toMatch(/^1 +host-2 +0.9877 +90% \/ 6.3% +80% \/ 12.5% +75% \/ 10%$/m);
    expect(stdout).toMatch(/^host-3 +insufficient +memory +2GiB +512MiB +14.4GiB$/m);
    expect(stdout).toMatch(/^host-4 +cordoned$/m);
    expect(calls[0]).toMatchObject({
      method: 'POST',
      path: '/v1/placements',
      body: {
        resources: { cpu: 2, memory: 2_048, disk: 10_240 },
        constraints: { zone: 'zone-a' },
      },
    });
    expect(placementRequestSchema.safeParse(calls[0]?.body).success).toBe(true);
  });

  it('asks what `vm create` would ask, by a strategy and for a path too', async () => {
    const { calls } = await run(
      'place --group web:affinity --path acme --strategy best-fit',
      always(placementDocument()),
    );
    expect(calls[0]?.body).toMatchObject({
      path: 'acme',
      strategy: 'best-fit',
      constraints: { groups: [{ name: 'web', policy: 'affinity' }] },
    });
    expect(placementRequestSchema.safeParse(calls[0]?.body).success).toBe(true);
  });

  it('shows of what the first two scores are made, where that is more than one thing', async () => {
    const { stdout } = await run(
      'place',
      always(
        placementDocument({
          candidates: [
            { ...candidate(1, 'host-2', -0.5), addends: { leftover: -0.3, imbalance: -0.2 } },
            { ...candidate(2, 'host-1', -0.7), addends: { leftover: -0.2, imbalance: -0.5 } },
            candidate(3, 'host-5', -0.9),
          ],
        }),
      ),
    );
    expect(stdout).toMatch(/^HOST +LEFTOVER +IMBALANCE$/m);
    expect(stdout).toMatch(/^host-2 +-0.3000 +-0.2000$/m);
    expect(stdout).toMatch(/^host-1 +-0.2000 +-0.5000$/m);
    expect(stdout).not.toMatch(/^host-5 +-/m);
  });

  it('shows the rules of groups that hosts break, wished and demanded', async () => {
    const { stdout } = await run(
      'place',
      always(
        placementDocument({
          candidates: [
            candidate(1, 'host-2', 0.1),
            { ...candidate(2, 'host-1', 0.9), violations: [APART, NEAR] },
          ],
          rejected: [
            {
              host: { id: 'h-3', name: 'host-3' },
              reasons: [{ code: 'anti_affinity', group: 'web' }],
            },
          ],
        }),
      ),
    );
    expect(stdout).toMatch(/BREAKS$/m);
    expect(stdout).toMatch(/^1 +host-2 .*10%$/m);
    expect(stdout).toMatch(/^2 +host-1 .*10% +soft-anti-affinity web, soft-affinity db$/m);
    expect(stdout).toMatch(/^host-3 +anti_affinity \(web\)$/m);
  });

  it('shows for what hosts are kept', async () => {
    const { stdout } = await run(
      'place',
      always(
        placementDocument({
          candidates: [
            candidate(1, 'host-2', 0.1),
            { ...candidate(2, 'host-1', 0.9), keptFor: { cpu: 64, memory: 262_144 } },
          ],
        }),
      ),
    );
    expect(stdout).toMatch(/KEPT FOR$/m);
    expect(stdout).toMatch(/^2 +host-1 .*10% +cpu 64, memory 256GiB$/m);
  });

  it('ends with 4 when nothing fits, and says what is missing', async () => {
    const nowhere = placementDocument({
      ...{ chosen: null, explanation: null },
      ...{ candidates: [], summary: NOWHERE },
    });
    const { code, stdout } = await run('place', always(nowhere));
    expect(code).toBe(4);
    expect(stdout).toContain('The nearest, host-3, lacks 1536MiB of memory.');
    expect(stdout).toContain('host-4');
    const asJson = await run('place --json', always(nowhere));
    expect(asJson.code).toBe(4);
    expect(JSON.parse(asJson.stdout)).toEqual(nowhere);
  });

  it('shows as many hosts as --limit allows and counts the rest', async () => {
    const many = placementDocument({
      candidates: [1, 2, 3].map((rank) => candidate(rank, `host-${rank.toString()}`, 1 / rank)),
    });
    const { stdout } = await run('place --limit 2', always(many));
    expect(stdout).not.toMatch(/^3 +host-3/m);
    expect(stdout).toContain('… and 1 host more');
  });
});

describe('berth host', () => {
  it('list shows booked amounts and limits, and follows cursors', async () => {
    const { code, stdout, calls } = await run('host list', ({ query }) => ({
      document:
        query.cursor === undefined
          ? { items: [hostDocument()], nextCursor: 'next' }
          : {
              items: [hostDocument({ id: 'h-3', name: 'host-3', state: 'down' })],
              nextCursor: null,
            },
    }));
    expect(code).toBe(0);
    expect(calls).toHaveLength(2);
    expect(stdout).toMatch(/^host-2 +up +enabled +zone-a +1 +2\/32 +2GiB\/14.4GiB +10GiB\/90GiB$/m);
    expect(stdout).toMatch(/^host-3 +down/m);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  });

  it('list says how to get a host when there is none', async () => {
    const { stdout } = await run('host list', always({ items: [], nextCursor: null }));
    expect(stdout).toContain('berth agent');
  });

  it('show prints each class', async () => {
    const { stdout, calls } = await run(
      'host show host-2',
      always(hostDocument({ mode: 'cordoned', modeReason: 'new memory' })),
    );
    expect(calls[0]?.path).toBe('/v1/hosts/host-2');
    expect(stdout).toMatch(/^mode +cordoned: new memory$/m);
    expect(stdout).toMatch(/^labels +disk=ssd$/m);
    expect(stdout).toMatch(/^cpu +8 +0 +x4 +32 +2 +30 +- +vCPU +detected$/m);
    expect(stdout).toContain('berth vm list --host host-2');
  });

  it('ends with 3 for an unknown host', async () => {
    const { code } = await run('host show ghost', () => ({
      problem: problemDocument('not_found'),
    }));
    expect(code).toBe(3);
  });

  it.each([
    [
      ['host', 'cordon', 'host-2', '--reason', 'new memory modules'],
      { mode: 'cordoned', reason: 'new memory modules' },
      'is cordoned and takes no new VMs',
    ],
    [['host', 'cordon', 'host-2'], { mode: 'cordoned' }, 'is cordoned'],
    [['host', 'uncordon', 'host-2'], { mode: 'enabled' }, 'is enabled'],
  ])('%j sends %j', async (line, body, says) => {
    const { code, stdout, calls } = await run(line, always(hostDocument()));
    expect(code).toBe(0);
    expect(calls).toMatchObject([{ method: 'PATCH', path: '/v1/hosts/host-2', body }]);
    expect(patchHostSchema.safeParse(calls[0]?.body).success).toBe(true);
    expect(stdout).toContain(`host-2 ${says}`);
  });
});

describe('berth rebuild', () => {
  const rebuild = (dryRun: boolean, drift: Readonly<Record<string, number>>) =>
    rebuildSchema.parse({
      dryRun,
      durationMs: 12.4,
      vms: 7,
      hosts: [
        { id: 'h-1', name: 'host-1', drift: {}, driftAfter: dryRun ? null : {} },
        { id: 'h-2', name: 'host-2', drift, driftAfter: dryRun ? null : {} },
      ],
    });

  it('shows the drift before and after', async () => {
    const { code, stdout, calls } = await run(
      'rebuild',
      always(rebuild(false, { cpu: -2, memory: 2_048 })),
    );
    expect(code).toBe(0);
    expect(calls[0]).toMatchObject({ path: '/v1/ops/rebuild', body: { dryRun: false } });
    expect(rebuildRequestSchema.safeParse(calls[0]?.body).success).toBe(true);
    expect(stdout).toContain('The ledger is rebuilt (2 hosts, 7 VMs, 12 ms).');
    expect(stdout).toMatch(/^host-2 +cpu +-2 +0$/m);
    expect(stdout).toMatch(/^host-2 +memory +\+2GiB +0MiB$/m);
    expect(stdout).not.toMatch(/^host-1/m);
  });

  it('changes nothing with --dry-run, and says when all agrees', async () => {
    const { stdout, calls } = await run('rebuild --dry-run', always(rebuild(true, {})));
    expect(calls[0]?.body).toEqual({ dryRun: true });
    expect(stdout).toContain('Compared, nothing changed');
    expect(stdout).toContain('No drift');
  });

  it('says when to try again while another replica is at it', async () => {
    const { code, stderr } = await run('rebuild', () => ({
      problem: problemDocument('ledger_rebuilding'),
      headers: { 'retry-after': '2' },
    }));
    expect(code).toBe(1);
    expect(stderr).toContain('hint: try again in 2 s');
  });
});
