/** Requests that are no HTTP, too long or too slow: answered on the wire, as problems. */
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { refuseBadRequests } from '../../src/api/refusals.js';
import { problemSchema, type ProblemBody } from '../../src/wire/problem.js';
import { ADMIN_TOKEN, startApi, type ApiServer } from '../support/api-server.js';
import { modelHost } from '../support/control-double.js';
import { silentLog } from '../support/log.js';

let server: ApiServer;
/** Its patience is short, so that tests need none. */
let hasty: ApiServer;
beforeAll(async () => {
  server = await startApi();
  hasty = await startApi({
    serverLimits: { headersTimeout: 40, requestTimeout: 80, connectionsCheckingInterval: 10 },
  });
});
afterAll(() => Promise.all([server.api.close(), hasty.api.close()]));
beforeEach(() => {
  for (const { vms, hosts } of [server, hasty]) {
    vms.clear();
    hosts.set('host-a', modelHost());
  }
});

interface Talk {
  readonly socket: Socket;
  /** Everything that was said until the server closed. */
  readonly heard: Promise<string>;
}

function talk({ port }: ApiServer, ...said: string[]): Talk {
  const socket = connect(port, '127.0.0.1');
  const heard = new Promise<string>((resolve, reject) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.once('error', reject);
    socket.once('end', () => {
      resolve(text);
    });
  });
  for (const part of said) socket.write(part);
  return { socket, heard };
}

/** The last answer in what was heard, which must be a whole and well-formed one. */
function lastAnswer(heard: string): { status: number; headers: string; problem: ProblemBody } {
  const answer = heard.slice(heard.lastIndexOf('HTTP/1.1 '));
  const [headers = '', body = ''] = answer.split('\r\n\r\n');
  expect(headers).toMatch(/^HTTP\/1\.1 \d{3} [A-Z]/);
  expect(headers).toContain('Content-Type: application/problem+json');
  expect(headers).toContain(`Content-Length: ${Buffer.byteLength(body).toString()}`);
  expect(headers).toContain('Connection: close');
  expect(headers).toContain('x-content-type-options: nosniff');
  const problem = problemSchema.parse(JSON.parse(body));
  expect(headers).toContain(`X-Request-Id: ${problem.requestId ?? '?'}`);
  expect(headers).toContain(`HTTP/1.1 ${problem.status.toString()} `);
  return { status: problem.status, headers, problem };
}

const AUTH = `host: x\r\nauthorization: Bearer ${ADMIN_TOKEN}\r\n`;
const JSON_HEAD = `POST /v1/vms HTTP/1.1\r\n${AUTH}content-type: application/json\r\n`;
const LONG = 'a'.repeat(20_000);

describe('what is no request', () => {
  it.each([
    ['garbage', 'GARBAGE\r\n\r\n', '(request)'],
    ['a greeting of TLS', '\u0016\u0003\u0001\u0002', '(request)'],
    ['no path', 'GET  HTTP/1.1\r\n\r\n', '(path)'],
    ['another version', 'GET / HTTP/7.3\r\nhost: x\r\n\r\n', '(request)'],
    ['a header without a name', `GET / HTTP/1.1\r\nhost: x\r\n: y\r\n\r\n`, '(request)'],
    ['a header that is no header', `GET / HTTP/1.1\r\nhost: x\r\na b\r\n\r\n`, '(request)'],
    ['no length', `${JSON_HEAD}content-length: many\r\n\r\n{}`, 'content-length'],
    [
      'two lengths',
      `${JSON_HEAD}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`,
      'content-length',
    ],
    ['nonsense for a chunk', `${JSON_HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n`, '(body)'],
  ])('%s', async (_name, said, field) => {
    const { problem } = lastAnswer(await talk(server, said).heard);
    expect(problem).toMatchObject({ status: 400, code: 'invalid_request' });
    expect(problem.errors?.map((error) => error.field)).toEqual([field]);
    expect(problem.detail).toContain(field);
    expect(server.vms.size).toBe(0);
  });

  it('or one that breaks off', async () => {
    const { socket, heard } = talk(server);
    socket.end('GET /healthz HTTP/1.1\r\nhost:');
    expect(lastAnswer(await heard).problem).toMatchObject({
      code: 'invalid_request',
      errors: [{ field: '(request)', message: 'broke off before its end' }],
    });
  });

  it('or one without Host, even where no token is needed', async () => {
    const heard = await talk(server, 'GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n').heard;
    expect(heard).toMatch(/^HTTP\/1\.1 400 /);
    expect(problemSchema.parse(JSON.parse(heard.split('\r\n\r\n')[1] ?? ''))).toMatchObject({
      code: 'invalid_request',
      errors: [{ field: 'host' }],
    });
    const old = await talk(server, 'GET /healthz HTTP/1.0\r\n\r\n').heard;
    expect(old).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('or a wish to go through', async () => {
    const { heard } = talk(server, 'CONNECT example.org:443 HTTP/1.1\r\nhost: x\r\n\r\n');
    expect(lastAnswer(await heard).problem.code).toBe('method_not_allowed');
  });

  it('ends nothing when its caller resets the connection', () => {
    const bare = createServer();
    const options = { log: silentLog, telemetry: server.metrics, headers: {} };
    refuseBadRequests(bare, options);
    const socket = new PassThrough();
    bare.emit('connect', {}, socket);
    expect(() => socket.emit('error', new Error('read ECONNRESET'))).not.toThrow();
    expect(socket.destroyed).toBe(true);
  });

  it('is answered after the answer that is due before it', async () => {
    const heard = await talk(server, `GET /v1/vms HTTP/1.1\r\n${AUTH}\r\n`, 'GARBAGE\r\n\r\n')
      .heard;
    expect(heard).toMatch(/^HTTP\/1\.1 200 /);
    expect(heard.match(/HTTP\/1\.1 \d{3} /g)).toHaveLength(2);
    expect(lastAnswer(heard).status).toBe(400);
  });

  it('gets no second answer when it turns out so after its answer', async () => {
    const { socket, heard } = talk(
      server,
      `${JSON_HEAD}transfer-encoding: chunked\r\nx: y\r\n\r\n`.replace('/v1/vms', '/nowhere'),
    );
    socket.once('data', () => {
      socket.write('zz\r\n');
    });
    const text = await heard;
    expect(text).toMatch(/^HTTP\/1\.1 404 /);
    expect(text.match(/HTTP\/1\.1 \d{3} /g)).toHaveLength(1);
  });

  it('is counted', async () => {
    const own = await startApi();
    await talk(own, 'GARBAGE\r\n\r\n').heard;
    expect(await own.metrics.text()).toMatch(
      /^berth_http_requests_total\{method="\(none\)",route="\(none\)",status="400"\} 1$/m,
    );
    await own.api.close();
  });
});

describe('what is too long', () => {
  it.each([
    ['a header', `GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: ${LONG}\r\n\r\n`],
    ['a path', `GET /${LONG} HTTP/1.1\r\nhost: x\r\n\r\n`],
    ['a header far beyond', `GET / HTTP/1.1\r\nhost: x\r\nx-long: ${LONG.repeat(50)}\r\n\r\n`],
  ])('%s', async (_name, said) => {
    const { problem } = lastAnswer(await talk(server, said).heard);
    expect(problem).toMatchObject({ status: 431, code: 'headers_too_large' });
  });
});

describe('what is too slow', () => {
  it.each([
    ['a header', 'GET /healthz HTTP/1.1\r\nhost: x\r\n'],
    ['a body', `${JSON_HEAD}content-length: 60\r\n\r\n{"resources":`],
  ])('%s', async (_name, said) => {
    const { problem } = lastAnswer(await talk(hasty, said).heard);
    expect(problem).toMatchObject({ status: 408, code: 'request_timeout' });
    expect(hasty.vms.size).toBe(0);
  });
});

it('an expectation that nobody knows does not keep a request from its answer', async () => {
  const reply = await talk(
    server,
    `GET /v1/vms HTTP/1.1\r\n${AUTH}expect: miracles\r\nconnection: close\r\n\r\n`,
  ).heard;
  expect(reply).toMatch(/^HTTP\/1\.1 200 /);
});
