/** How often somebody may ask, and that lookups of tokens are shared but never stale. */
import { describe, expect, it } from '@jest/globals';
import { ADMIN } from '../../src/api/auth.js';
import { createLimits, DEFAULT_LIMITS } from '../../src/api/limits.js';
import type { Principal } from '../../src/api/principal.js';
import { shared } from '../../src/api/shared-lookup.js';
import { startApi, type Reply } from '../support/api-server.js';

/** Far more than the limits below allow, whatever the speed of the machine. */
const MANY = 40;

const together = (count: number, ask: () => Promise<Reply>): Promise<Reply[]> =>
  Promise.all(Array.from({ length: count }, ask));

const refused = (replies: readonly Reply[]): readonly Reply[] =>
  replies.filter(({ status }) => status === 429);

describe('limits', () => {
  it('are of one token, and say when to come again', async () => {
    const server = await startApi({ limits: { ratePerTokenPerS: 1 } });
    const token = server.tokens.add('viewer');
    const replies = await together(MANY, () => server.call('/v1/hosts', { token }));
    const [first] = refused(replies);
    expect(first?.problem()).toMatchObject({ code: 'rate_limited' });
    expect(Number(first?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    const another = server.tokens.add('viewer');
    expect((await server.call('/v1/hosts', { token: another })).status).toBe(200);
    expect((await server.call('/healthz', { token })).status).toBe(200);
    await server.api.close();
  });

  it('are of a tenant, whatever the number of its tokens', async () => {
    const server = await startApi({ limits: { ratePerTenantPerS: 1 } });
    const replies = await together(MANY, () =>
      server.call('/v1/vms', { token: server.tokens.add('tenant', { path: 'acme' }) }),
    );
    expect(refused(replies).length).toBeGreaterThan(0);
    const token = server.tokens.add('tenant', { path: 'other' });
    expect((await server.call('/v1/vms', { token })).status).toBe(200);
    await server.api.close();
  });

  it('let the configured token ask ten times as often', async () => {
    const server = await startApi({ limits: { ratePerTokenPerS: MANY } });
    const replies = await together(5 * MANY, () => server.call('/v1/hosts'));
    expect(refused(replies)).toEqual([]);
    await server.api.close();
  });

  it('take no host that calls itself admin for the configured token', async () => {
    const limits = createLimits({ ...DEFAULT_LIMITS, ratePerTokenPerS: MANY });
    const asked = (principal: Principal) =>
      Promise.allSettled(Array.from({ length: 5 * MANY }, () => limits.admit(principal)));
    const actor = { kind: 'host', id: 'admin', name: 'admin' } as const;
    const ofHost = await asked({ who: 'host', actor, path: null, hostId: 'admin' });
    expect(ofHost.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0);
    const ofAdmin = await asked(ADMIN);
    expect(ofAdmin.filter(({ status }) => status === 'rejected')).toEqual([]);
  });

  it('count wrong tokens that come at once', async () => {
    const server = await startApi({ limits: { failedAuthPerMinute: 3 } });
    const wrong = { token: `berth_${'w'.repeat(43)}` };
    const replies = await together(MANY, () => server.call('/v1/hosts', wrong));
    expect(refused(replies)).toHaveLength(MANY - 3);
    expect(refused(replies)[0]?.headers.get('retry-after')).not.toBeNull();
    await server.api.close();
  });

  it('keep an address from trying tokens, but not those who hold the configured one', async () => {
    const server = await startApi({ limits: { failedAuthPerMinute: 3 } });
    const wrong = { token: `berth_${'w'.repeat(43)}` };
    for (const status of [401, 401, 401, 429, 429]) {
      expect((await server.call('/v1/hosts', wrong)).status).toBe(status);
    }
    expect((await server.call('/v1/hosts', { token: null })).status).toBe(401);
    expect((await server.call('/v1/hosts')).status).toBe(200);
    await server.api.close();
  });
});

describe('shared lookups', () => {
  /** Lookups that end when the test says so. */
  function slowLookup() {
    const asked: { readonly key: string; readonly answer: (value: string) => void }[] = [];
    const look = shared(
      (key) =>
        new Promise<string>((answer) => {
          asked.push({ key, answer });
        }),
    );
    return { asked, look };
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  it('ask once for all who came before the asking', async () => {
    const { asked, look } = slowLookup();
    const first = look('a');
    const late = [look('a'), look('a'), look('a')];
    expect(asked).toHaveLength(1);
    asked[0]?.answer('old');
    expect(await first).toBe('old');
    await turn();
    expect(asked).toHaveLength(2);
    asked[1]?.answer('new');
    // None of those who came while the first was under way lives on its answer.
    expect(await Promise.all(late)).toEqual(['new', 'new', 'new']);
  });

  it('do not mix keys, and forget what is over', async () => {
    const { asked, look } = slowLookup();
    const both = [look('a'), look('b')];
    expect(asked.map(({ key }) => key)).toEqual(['a', 'b']);
    for (const { key, answer } of asked) answer(key);
    expect(await Promise.all(both)).toEqual(['a', 'b']);
    await turn();
    void look('a');
    expect(asked).toHaveLength(3);
  });

  it('go on after one that failed', async () => {
    let calls = 0;
    const look = shared(async () => {
      calls += 1;
      await turn();
      if (calls === 1) throw new Error('no answer');
      return calls;
    });
    const [first, second] = await Promise.allSettled([look('a'), look('a')]);
    expect([first.status, second.status]).toEqual(['rejected', 'fulfilled']);
  });
});
