/** `berth breaker` against a server. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { breakerSchema, type BreakerBody } from '../../src/wire/breaker.js';
import { berth, startServer, words, type Call, type Reply, type Server } from './terminal.js';

let server: Server | undefined;
afterEach(() => server?.stop());

async function run(line: string, answer: (call: Call) => Reply) {
  await server?.stop();
  server = await startServer(answer);
  const outcome = await berth(words(line), { BERTH_URL: server.url, BERTH_TOKEN: 't' });
  return { ...outcome, calls: server.calls };
}

const breaker =
  (changes: Partial<BreakerBody> = {}) =>
  (): Reply => ({
    document: breakerSchema.parse({
      state: 'open',
      since: '2026-11-21T10:00:00.000Z',
      reason: '6 of 10 hosts went missing at once',
      hosts: 10,
      missing: 6,
      share: 0.6,
      graceUntil: null,
      lookedAt: '2026-11-21T10:00:30.000Z',
      opensAbove: { share: 0.3, hostsMin: 3, windowS: 90 },
      ...changes,
    }),
  });

describe('berth breaker', () => {
  it('shows it', async () => {
    const { code, stdout, calls } = await run('breaker show', breaker());
    expect(code).toBe(0);
    expect(stdout).toBe(
      [
        'breaker   open since 2026-11-21T10:00:00.000Z',
        'reason    6 of 10 hosts went missing at once',
        'missing   6 of 10 hosts (60 %)',
        'opens     above 30 %, and at least 3 hosts, within 90 s',
        'last look 2026-11-21T10:00:30.000Z',
        '',
      ].join('\n'),
    );
    expect(calls).toMatchObject([{ method: 'GET', path: '/v1/ops/breaker' }]);
  });

  it('closes it, for a reason', async () => {
    const line = 'breaker close --json --reason burnt';
    const { code, stdout, calls } = await run(line, breaker({ state: 'closed' }));
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ state: 'closed' });
    expect(calls).toMatchObject([
      { method: 'POST', path: '/v1/ops/breaker', body: { close: true, reason: 'burnt' } },
    ]);
    expect((await run('breaker close', breaker())).code).toBe(2);
  });
});
