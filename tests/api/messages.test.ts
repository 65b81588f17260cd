/** What Express is handed has its methods already: it exchanges no prototype, which is slow. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import express from 'express';
import { messagesOf } from '../../src/api/messages.js';

describe('requests and responses', () => {
  it('are made with the prototypes that Express would give them', async () => {
    const app = express();
    const messages = messagesOf(app);
    const prototypes: unknown[] = [];
    app.get('/', (request, response) => {
      prototypes.push(Object.getPrototypeOf(request), Object.getPrototypeOf(response));
      response.json({ host: request.hostname, sameApp: request.app === app });
    });
    const before: unknown[] = [];
    const server = createServer(messages, (request, response) => {
      before.push(Object.getPrototypeOf(request), Object.getPrototypeOf(response));
      app(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const answer = await fetch(`http://127.0.0.1:${port.toString()}/`);
    expect(await answer.json()).toEqual({ host: '127.0.0.1', sameApp: true });
    expect(before).toEqual([app.request, app.response]);
    expect(prototypes).toEqual(before);
    expect(before[0]).toBe(messages.IncomingMessage?.prototype);
    expect(before[1]).toBe(messages.ServerResponse?.prototype);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});
