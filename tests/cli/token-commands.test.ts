/** `berth token …` against a server. */
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  createTokenSchema,
  newTokenSchema,
  tokenSchema,
  type TokenBody,
} from '../../src/wire/tokens.js';
import { berth, startServer, words, type Call, type Reply, type Server } from './terminal.js';

let server: Server | undefined;
afterEach(() => server?.stop());

async function run(line: string, answer: (call: Call) => Reply) {
  await server?.stop();
  server = await startServer(answer);
  const outcome = await berth(words(line), { BERTH_URL: server.url, BERTH_TOKEN: 't' });
  return { ...outcome, calls: server.calls };
}

const SECRET = `berth_${'s'.repeat(43)}`;

const tokenDocument = (changes: Partial<TokenBody> = {}): TokenBody =>
  tokenSchema.parse({
    id: 'token-1',
    prefix: 'berth_sssss',
    role: 'operator',
    name: 'ci',
    path: null,
    createdAt: '2026-11-21T10:00:00.000Z',
    createdBy: 'admin',
    expiresAt: null,
    revokedAt: null,
    usedAt: null,
    usedBy: null,
    ...changes,
  });

const listOf =
  (...items: readonly TokenBody[]) =>
  (): Reply => ({ document: { items, nextCursor: null } });

describe('berth token create', () => {
  const made = (): Reply => ({
    document: newTokenSchema.parse({ ...tokenDocument(), token: SECRET }),
    status: 201,
  });

  it('prints the token alone, and the rest beside it', async () => {
    const { code, stdout, stderr, calls } = await run(
      'token create --role tenant --path acme --name acme-console --expires 90d',
      made,
    );
    expect(code).toBe(0);
    expect(stdout).toBe(`${SECRET}\n`);
    expect(stderr).toContain('shown this once');
    expect(stderr).toContain('berth token revoke token-1');
    expect(stderr).not.toContain(SECRET);
    expect(calls[0]).toMatchObject({
      ...{ method: 'POST', path: '/v1/tokens' },
      body: { role: 'tenant', path: 'acme', name: 'acme-console', expiresInS: 7_776_000 },
    });
    expect(createTokenSchema.safeParse(calls[0]?.body).success).toBe(true);
  });

  it('prints the answer as JSON', async () => {
    const { stdout, calls } = await run('token create --role join --name host-7 --json', made);
    expect(JSON.parse(stdout)).toMatchObject({ id: 'token-1', token: SECRET });
    expect(calls[0]?.body).toEqual({ role: 'join', name: 'host-7' });
  });

  it.each([
    'token create --name ci',
    'token create --role operator',
    'token create --role root --name ci',
    'token create --role operator --name ci --expires soon',
  ])('%s is wrong usage, and asks nobody', async (line) => {
    const { code, calls } = await run(line, made);
    expect([code, calls]).toEqual([2, []]);
  });
});

describe('berth token list', () => {
  it('shows how each begins, and what has become of it', async () => {
    const { code, stdout } = await run(
      'token list',
      listOf(
        tokenDocument(),
        tokenDocument({ id: 'token-2', role: 'tenant', path: 'acme', name: 'console' }),
        tokenDocument({ id: 'token-3', revokedAt: '2026-11-21T11:00:00.000Z' }),
        tokenDocument({
          ...{ id: 'token-4', role: 'join', usedBy: 'h-7', usedAt: '2026-11-21T11:00:00.000Z' },
        }),
        tokenDocument({ id: 'token-5', expiresAt: '2020-01-01T00:00:00.000Z' }),
        tokenDocument({ id: 'token-6', expiresAt: '2999-01-01T00:00:00.000Z' }),
      ),
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^token-1 +berth_sssss +operator +ci +valid$/m);
    expect(stdout).toMatch(/^token-2 +berth_sssss +tenant +console +acme +valid$/m);
    expect(stdout).toMatch(/^token-3 .*revoked 2026-11-21/m);
    expect(stdout).toMatch(/^token-4 .*used by h-7$/m);
    expect(stdout).toMatch(/^token-5 .*expired 2020/m);
    expect(stdout).toMatch(/^token-6 .*until 2999/m);
  });

  it('says what an empty list means', async () => {
    expect((await run('token list', listOf())).stdout).toContain('No tokens yet');
  });
});

describe('berth token revoke', () => {
  const others = [
    tokenDocument(),
    tokenDocument({ id: 'token-2', prefix: 'berth_ttttt' }),
    tokenDocument({ id: 'token-3', prefix: 'berth_ttttt' }),
  ];
  const answer = ({ method }: Call): Reply =>
    method === 'GET'
      ? listOf(...others)()
      : { document: tokenDocument({ revokedAt: '2026-11-21T11:00:00.000Z' }) };

  it.each(['token-1', 'berth_sssss', SECRET])('finds it by %s', async (shown) => {
    const { code, stdout, calls } = await run(`token revoke ${shown}`, answer);
    expect(code).toBe(0);
    expect(stdout).toBe('The operator token ci opens nothing any more.\n');
    expect(calls.at(-1)).toMatchObject({ method: 'DELETE', path: '/v1/tokens/token-1' });
    // The token itself never stands in a path, which logs keep.
    expect(JSON.stringify(calls)).not.toContain(SECRET);
  });

  it('revokes none when several, or none, begin so', async () => {
    const several = await run('token revoke berth_ttttt', answer);
    expect([several.code, several.calls.map(({ method }) => method)]).toEqual([2, ['GET']]);
    expect((await run('token revoke berth_xxxxx', answer)).code).toBe(3);
  });
});
