/** What is no call of HTTP is told so, as all other failures are, and the connection is closed. */
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { tellBadRequests } from '../../src/agent/bad-requests.js';
import { problemSchema } from '../../src/wire/problem.js';

let server: Server;
beforeAll(async () => {
  server = createServer({ maxHeaderSize: 1_024 }, (_request, response) => response.end('well'));
  tellBadRequests(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function told(said: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.once('error', reject);
    socket.once('end', () => {
      resolve(text);
    });
    socket.write(said);
  });
}

it.each([
  ['noise', '\u0016\u0003\u0001', 400, 'invalid_request'],
  ['headers without end', `GET / HTTP/1.1\r\nx: ${'y'.repeat(2_000)}`, 431, 'headers_too_large'],
])('%s', async (_what, said, status, code) => {
  const [head = '', body = ''] = (await told(said)).split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status.toString()} `));
  expect(head).toContain('Content-Type: application/problem+json');
  expect(problemSchema.parse(JSON.parse(body))).toMatchObject({ status, code });
  const well = await told('GET / HTTP/1.0\r\n\r\n');
  expect(well).toMatch(/^HTTP\/1\.1 200 /);
});

it('nothing is said to who has gone', async () => {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('\u0016\u0003\u0001');
  socket.resetAndDestroy();
  expect(await told('GET / HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
});
