/** The client of QMP against servers that lie, are silent, cut their lines or hang up. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openQmp, type QmpClient, type QmpEvent } from '../../../src/agent/qemu/qmp.js';

const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\n';
/** Long enough for a slow machine, but not for a test that waits in vain. */
const LIMIT_MS = 20_000;
/** For what must run into the limit. */
const SHORT_MS = 200;

interface Question {
  readonly id: number;
  readonly execute: string;
}

describe('the client of QMP', () => {
  let directory: string;
  let server: Server | null;
  let events: QmpEvent[];
  let clients: QmpClient[];
  let sockets: Socket[];
  beforeEach(async () => {
    // A path that is too long for a unix socket.
    directory = await mkdtemp(join(tmpdir(), `berth-qmp-${'x'.repeat(120)}-`));
    server = null;
    [events, clients, sockets] = [[], [], []];
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    for (const socket of sockets) socket.destroy();
    const listening = server;
    if (listening !== null) await new Promise((resolve) => listening.close(resolve));
    await rm(directory, { recursive: true, force: true });
  });

  /** A server that greets, agrees to the first question and answers the others as told. */
  async function serve(
    answer: (question: Question, socket: Socket) => void,
    greeting: string | null = GREETING,
  ): Promise<void> {
    const listening = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      if (greeting !== null) socket.write(greeting);
      socket.on('data', (bytes) => {
        for (const line of bytes.toString().trim().split('\n')) {
          const question = JSON.parse(line) as Question;
          if (question.execute === 'qmp_capabilities') {
            socket.write(`{"return": {}, "id": ${question.id.toString()}}\n`);
          } else answer(question, socket);
        }
      });
    });
    server = listening;
    // Node takes no longer paths than the kernel, so the server is made in its directory.
    const workDir = process.cwd();
    process.chdir(directory);
    await new Promise<void>((resolve) => listening.listen('qmp.sock', resolve));
    process.chdir(workDir);
  }

  async function open(limitMs = LIMIT_MS): Promise<QmpClient> {
    const client = await openQmp(directory, 'qmp.sock', {
      limitMs,
      onEvent: (event) => events.push(event),
    });
    clients.push(client);
    return client;
  }

  const fails = (promise: Promise<unknown>, kind: string) =>
    expect(promise).rejects.toMatchObject({ name: 'QmpError', kind });

  it('asks, is answered and refused, and hears of events, however the lines are cut', async () => {
    await serve(({ id, execute }, socket) => {
      const lines = `{"event": "STOP", "timestamp": {}}\r\n\n{"event": "SHUTDOWN", "data": {"guest": true}}\n${
        execute === 'query-status'
          ? `{"id": ${id.toString()}, "return": {"status": "running", "text": "ä\u20ac"}}`
          : `{"id": ${id.toString()}, "error": {"class": "GenericError", "desc": "no such thing"}}`
      }\n`;
      for (const byte of Buffer.from(lines)) socket.write(Buffer.of(byte));
    });
    const client = await open();
    await expect(client.execute('query-status')).resolves.toEqual({
      status: 'running',
      text: 'ä\u20ac',
    });
    await fails(client.execute('nonsense', { a: 1 }), 'refused');
    expect(events.slice(0, 2)).toEqual([
      { event: 'STOP', data: {} },
      { event: 'SHUTDOWN', data: { guest: true } },
    ]);
  });

  it('passes over answers to questions that it has not asked', async () => {
    await serve(({ id }, socket) => {
      socket.write(`{"return": "not yours", "id": ${(id + 1_000).toString()}}\n`);
      socket.write(`{"return": "yours", "id": ${id.toString()}}\n`);
      socket.write(`{"return": "twice", "id": ${id.toString()}}\n`);
    });
    const client = await open();
    await expect(client.execute('first')).resolves.toBe('yours');
    await expect(client.execute('second')).resolves.toBe('yours');
  });

  it('waits for no answer longer than its limit, and for the next one anew', async () => {
    await serve(({ id, execute }, socket) => {
      if (execute === 'loud') socket.write(`{"return": 1, "id": ${id.toString()}}\n`);
    });
    const client = await open(SHORT_MS);
    await fails(client.execute('silent'), 'late');
    await expect(client.execute('loud')).resolves.toBe(1);
  });

  it('waits for no greeting longer than its limit', async () => {
    await serve(() => undefined, null);
    await fails(open(SHORT_MS), 'late');
  });

  it.each([
    ['not JSON', 'QEMU 7.2 monitor - type help for more\n'],
    ['JSON of another kind', '{"return": {}, "id": 1}\n'],
    ['no line at all', 'x'.repeat(1_100_000)],
  ])('takes no greeting that is %s', async (_what, greeting) => {
    await serve(() => undefined, greeting);
    await fails(open(), 'nonsense');
  });

  it.each([
    ['not JSON', 'hello\n'],
    ['a list', '[]\n'],
    ['null', 'null\n'],
    ['an answer with a text as id', '{"return": {}, "id": "1"}\n'],
    [
      'an error without an id',
      '{"error": {"class": "GenericError", "desc": "JSON parse error"}}\n',
    ],
    ['an event without a name', '{"event": ""}\n'],
    ['a line without an end', `{"return": "${'x'.repeat(1_100_000)}`],
    ['deeply nested', `${'['.repeat(100_000)}\n`],
  ])('ends the conversation at a line that is %s', async (_what, line) => {
    await serve((_question, socket) => socket.write(line));
    const client = await open();
    await fails(client.execute('query-status'), 'nonsense');
    await client.closed;
    await fails(client.execute('query-status'), 'closed');
  });

  it('tells everybody who waits when the other side hangs up', async () => {
    await serve(({ execute }, socket) => {
      if (execute === 'last') socket.destroy();
    });
    const client = await open();
    const waiting = [client.execute('one'), client.execute('two'), client.execute('last')];
    await Promise.all(waiting.map((question) => fails(question, 'closed')));
    await client.closed;
  });

  it('leaves no more than a fair number of questions open', async () => {
    await serve(() => undefined);
    const client = await open();
    const asked = Array.from({ length: 64 }, () => client.execute('silent'));
    await fails(client.execute('one too many'), 'late');
    client.close();
    await Promise.all(asked.map((question) => fails(question, 'closed')));
  });

  it('says so when there is nobody', async () => {
    await expect(open()).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
