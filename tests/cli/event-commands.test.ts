/** `berth events` and `berth audit` against a server. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { auditPageSchema, type AuditPageBody } from '../../src/wire/audit.js';
import { createEventStreamReader } from '../../src/wire/server-sent-events.js';
import { hostDocument, problemDocument, vmDocument } from './documents.js';
import { berth, startServer, words, type Call, type Reply, type Server } from './terminal.js';

let server: Server | undefined;
afterEach(() => server?.stop());

async function run(line: string, answer: (call: Call, count: number) => Reply) {
  await server?.stop();
  let count = 0;
  server = await startServer((call) => {
    count += 1;
    return answer(call, count);
  });
  const outcome = await berth(words(line), { BERTH_URL: server.url, BERTH_TOKEN: 't' });
  return { ...outcome, calls: server.calls };
}

const AT = '2026-11-21T10:00:00.000Z';

const stream = (...blocks: readonly string[]): Reply => ({
  raw: blocks.map((block) => `${block}\n\n`).join(''),
  status: 200,
  contentType: 'text/event-stream; charset=utf-8',
});

const block = (id: string, kind: string, facts: object): string =>
  `id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify({ id, at: AT, kind, ...facts })}`;

const HELLO = ': berth\nretry: 1000\nid: k-0';

describe('berth events', () => {
  const vm = vmDocument({
    state: 'running',
    desiredState: 'deleted',
    reason: { code: 'host_down', detail: 'Its host does not answer.' },
  });

  it('prints a line for each', async () => {
    const { code, stdout, calls } = await run(
      'events --since start --no-follow --kind vm.changed,host.changed --path acme',
      () =>
        stream(
          HELLO,
          block('k-1', 'vm.changed', { vm }),
          ': alive',
          block('k-2', 'host.changed', {
            host: hostDocument({ mode: 'cordoned', modeReason: 'new\ndisks' }),
          }),
          block('k-3', 'host.changed', {
            host: hostDocument({ state: 'down', fence: { at: AT, reason: 'power', by: 'jo' } }),
          }),
        ),
    );
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(
      /^2026-11-21T10:00:00.000Z {2}vm.changed +web-1 +running, wanted deleted {2}on host-2 {2}\(host_down: Its host does not answer\.\)$/,
    );
    expect(lines[1]).toMatch(/host.changed +host-2 +up {2}cordoned {2}new disks$/);
    expect(lines[2]).toMatch(/host.changed +host-2 +down {2}fenced: power \(jo\)$/);
    expect(calls[0]).toMatchObject({
      path: '/v1/events',
      query: { since: 'start', follow: 'false', kind: 'vm.changed,host.changed', path: 'acme' },
      authorization: 'Bearer t',
    });
  });

  it('says of the breaker how many hosts are missing, and why it changed', async () => {
    const fleet = { breaker: 'open', since: AT, reason: '6 went away', hosts: 10, missing: 6 };
    const { stdout } = await run('events --no-follow', () =>
      stream(block('k-1', 'fleet.breaker_opened', { fleet })),
    );
    expect(stdout).toMatch(/fleet.breaker_opened .* {2}6 of 10 hosts missing {2}6 went away\n$/);
  });

  it('prints lines of JSON', async () => {
    const { stdout } = await run('events --no-follow --json', () =>
      stream(block('k-1', 'vm.created', { vm }), block('k-2', 'vm.deleted', { vm })),
    );
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly kind: string });
    expect(events.map(({ kind }) => kind)).toEqual(['vm.created', 'vm.deleted']);
  });

  it('goes on after the last event when the connection breaks, and tells so once', async () => {
    const { code, stdout, stderr, calls } = await run('events', (_call, count) => {
      if (count === 1) return stream(HELLO, block('k-1', 'vm.created', { vm }));
      if (count === 2) return 'hang up';
      if (count === 3) return { problem: problemDocument('catalogue_unavailable') };
      if (count === 4) return stream('id: k-1', block('k-2', 'vm.deleted', { vm }));
      return { problem: problemDocument('events_expired') };
    });
    expect(calls.map(({ lastEventId }) => lastEventId)).toEqual([
      undefined,
      'k-1',
      'k-1',
      'k-1',
      'k-2',
    ]);
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(stderr.match(/Going on/g)).toHaveLength(1);
    expect(stderr).toContain('events_expired');
    expect(code).toBe(1);
  }, 30_000);

  it('fails at once when it never was connected, or is not let in', async () => {
    const refused = await run('events', () => ({ problem: problemDocument('unauthenticated') }));
    expect(refused.code).toBe(1);
    expect(refused.calls).toHaveLength(1);
    expect((await run('events', () => 'hang up')).code).toBe(5);
    const other = await run('events', () => ({ raw: '<html>', status: 200 }));
    expect(other.code).toBe(5);
    expect(other.stderr).toContain('does not speak as a control plane');
  });
});

describe('messages of a stream', () => {
  it('are whole, wherever the text is cut', () => {
    const text = `${HELLO}\n\n: alive\n\n${block('k-1', 'vm.created', { n: 1 })}\n\ndata: a\ndata: b\n\n`;
    for (let cut = 0; cut <= text.length; cut += 1) {
      const reader = createEventStreamReader();
      const messages = [...reader.take(text.slice(0, cut)), ...reader.take(text.slice(cut))];
      expect(messages.map(({ id, event }) => [id, event])).toEqual([
        ['k-1', 'vm.created'],
        ['k-1', 'message'],
      ]);
      expect(messages[1]?.data).toBe('a\nb');
      expect(reader.lastEventId).toBe('k-1');
    }
  });
});

describe('berth audit', () => {
  const page: AuditPageBody = auditPageSchema.parse({
    items: [
      {
        id: '9',
        at: AT,
        actor: { kind: 'token', id: 'admin', name: 'admin' },
        action: 'host.patch',
        requestId: 'r-1',
        subject: { kind: 'host', id: 'h-2', path: null },
        before: { name: 'host-2', mode: 'enabled', labels: {} },
        after: { name: 'host-2', mode: 'cordoned', labels: { disk: 'ssd' } },
      },
      {
        id: '8',
        at: AT,
        actor: { kind: 'system', id: 'berth', name: 'berth' },
        action: 'ledger.rebuild',
        requestId: null,
        subject: { kind: 'ledger', id: 'ledger', path: null },
        before: null,
        after: null,
      },
    ],
    nextCursor: null,
  });

  it('prints who did what, and what it changed', async () => {
    const { code, stdout, calls } = await run(
      `audit --action host.patch --subject h-2 --since ${AT}`,
      () => ({ document: page }),
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/ admin +host\.patch +host host-2 +mode=cordoned, labels$/m);
    expect(stdout).toMatch(/ berth +ledger\.rebuild +ledger ledger$/m);
    expect(calls[0]).toMatchObject({
      path: '/v1/audit',
      query: { action: 'host.patch', subject: 'h-2', since: AT, limit: '50' },
    });
  });

  it('prints the answer as JSON, and says when there is nothing', async () => {
    const { stdout } = await run('audit --json', () => ({ document: page }));
    expect(JSON.parse(stdout)).toEqual(page);
    const none = await run('audit', () => ({ document: { items: [], nextCursor: null } }));
    expect(none.stdout).toBe('Nothing of this kind was done.\n');
  });
});
