/** Sends fuzzed requests over HTTP and over bare connections, and brings back what was answered. */
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import type { FuzzRequest } from './requests.js';

export interface Shot {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** Nothing that is asked for here takes longer, but for streams, which are cut. */
const ANSWER_LIMIT_MS = 30_000;

/** A stream of events has shown what it is by then. */
const STREAM_MS = 30;

/** How long noise may be left without an answer: a server may rightly wait for the rest of it. */
const SILENCE_MS = 150;

export const connections = (): Agent => new Agent({ keepAlive: true, maxSockets: 64 });

/** @returns null when the request cannot be sent by this client, or its connection was closed */
export function fire(
  port: number,
  agent: Agent,
  { method, path, headers, body }: FuzzRequest,
): Promise<Shot | null> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => {
      reject(new Error(`no answer in ${ANSWER_LIMIT_MS.toString()} ms: ${method} ${path}`));
    }, ANSWER_LIMIT_MS);
    const settle = (shot: Shot | null) => {
      clearTimeout(limit);
      resolve(shot);
    };
    const length = body === null ? {} : { 'content-length': body.length.toString() };
    try {
      const sent = request({
        host: '127.0.0.1',
        port,
        method,
        path,
        agent,
        headers: { ...headers, ...length },
      });
      sent.on('error', () => {
        settle(null);
      });
      sent.on('response', (answer) => {
        const contentType = answer.headers['content-type'] ?? '';
        const chunks: Buffer[] = [];
        const done = () => {
          settle({
            status: answer.statusCode ?? 0,
            contentType,
            text: Buffer.concat(chunks).toString(),
          });
        };
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', done);
        answer.on('error', done);
        if (contentType.startsWith('text/event-stream')) {
          setTimeout(() => {
            sent.destroy();
            done();
          }, STREAM_MS);
        }
      });
      sent.end(body ?? undefined);
    } catch {
      // Node's client refuses it: it cannot be sent this way.
      settle(null);
    }
  });
}

/** @returns everything that came back until the connection was closed or silent */
export function fireBytes(port: number, parts: readonly Buffer[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    const settle = () => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(SILENCE_MS, settle);
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('error', settle);
    socket.on('close', settle);
    socket.on('connect', () => {
      for (const part of parts) socket.write(part);
    });
  });
}
