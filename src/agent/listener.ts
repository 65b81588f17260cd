/**
 * A listening HTTP server that stops quickly and politely: what is under way is answered, what is
 * idle is closed at once. (Node's own close waits for connections that never sent a request.)
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tellBadRequests } from './bad-requests.js';

export interface Listener {
  readonly port: number;
  /** Takes no new calls, lets those under way finish, and cuts off what takes over `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

const HEADERS_TIMEOUT_MS = 10_000;
/** An image of many GiB over a slow line; what is read as JSON has a limit of its own. */
const REQUEST_TIMEOUT_MS = 6 * 3_600_000;
/** Longer than two polls are apart, so that the control plane's connections stay open. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;

/** Begins to listen. @throws Error when the port is taken */
export async function listen(
  answer: RequestListener,
  bind: string,
  port: number,
): Promise<Listener> {
  const server = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
  });
  server.keepAliveTimeout = KEEP_ALIVE_TIMEOUT_MS;
  /** Open connections, and how many requests each has under way. */
  const underWay = new Map<Socket, number>();
  let isStopping = false;
  const change = (socket: Socket, by: number) => {
    const count = underWay.get(socket);
    if (count === undefined) return;
    underWay.set(socket, count + by);
    if (isStopping && count + by <= 0) socket.destroySoon();
  };
  server.on('connection', (socket) => {
    underWay.set(socket, 0);
    socket.once('close', () => underWay.delete(socket));
  });
  const take = (request: IncomingMessage, response: ServerResponse) => {
    change(request.socket, 1);
    response.once('close', () => {
      change(request.socket, -1);
    });
    answer(request, response);
  };
  server.on('request', take);
  // What is expected beyond 100-continue is not known here; the call is answered all the same.
  server.on('checkExpectation', take);
  tellBadRequests(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, bind, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    async stop(graceMs) {
      const closed = new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
      isStopping = true;
      for (const [socket, count] of underWay) if (count === 0) socket.destroySoon();
      const cut = setTimeout(() => {
        for (const socket of underWay.keys()) socket.destroy();
      }, graceMs);
      await closed;
      clearTimeout(cut);
    },
  };
}
