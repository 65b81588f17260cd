/** The command line as a function, and a small server that answers as a control plane would. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Command } from 'commander';
import { registerClientCommands } from '../../src/cli/client-commands.js';
import { PROBLEM_CONTENT_TYPE, type ProblemBody } from '../../src/wire/problem.js';

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly authorization: string | undefined;
  readonly lastEventId: string | undefined;
  readonly idempotencyKey: string | undefined;
  readonly body: unknown;
}

/** A document, a problem, or a raw answer of whatever stands in the way. */
export type Reply =
  | { readonly document: unknown; readonly status?: number }
  | { readonly problem: ProblemBody; readonly headers?: Readonly<Record<string, string>> }
  | { readonly raw: string; readonly status: number; readonly contentType?: string }
  | 'hang up';

export interface Server {
  readonly url: string;
  readonly calls: readonly Call[];
  stop(): Promise<void>;
}

/** Starts a server that answers each call as `answer` says. */
export async function startServer(answer: (call: Call) => Reply): Promise<Server> {
  const calls: Call[] = [];
  const server = createServer((incoming, outgoing) => {
    void readCall(incoming).then((call) => {
      calls.push(call);
      const reply = answer(call);
      if (reply === 'hang up') {
        incoming.socket.destroy();
      } else if ('raw' in reply) {
        outgoing
          .writeHead(reply.status, { 'content-type': reply.contentType ?? 'text/html' })
          .end(reply.raw);
      } else if ('problem' in reply) {
        outgoing
          .writeHead(reply.problem.status, {
            'content-type': PROBLEM_CONTENT_TYPE,
            ...reply.headers,
          })
          .end(JSON.stringify(reply.problem));
      } else {
        outgoing
          .writeHead(reply.status ?? 200, { 'content-type': 'application/json' })
          .end(JSON.stringify(reply.document));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port.toString()}`,
    calls,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

/** A file as the text that it is, everything else as JSON. */
function bodyOf(incoming: IncomingMessage, body: string): unknown {
  if (body === '') return undefined;
  const isFile = incoming.headers['content-type'] === 'application/octet-stream';
  return isFile ? body : (JSON.parse(body) as unknown);
}

async function readCall(incoming: IncomingMessage): Promise<Call> {
  const url = new URL(incoming.url ?? '/', 'http://server');
  const body = await text(incoming);
  return {
    method: incoming.method ?? '',
    path: decodeURIComponent(url.pathname),
    query: Object.fromEntries(url.searchParams),
    authorization: incoming.headers.authorization,
    lastEventId: incoming.headers['last-event-id']?.toString(),
    idempotencyKey: [incoming.headers['idempotency-key']].flat()[0],
    body: bodyOf(incoming, body),
  };
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Stands in for the end of the process. */
class Ended extends Error {
  constructor(readonly code: number) {
    super(`ended with ${code.toString()}`);
  }
}

class Capture extends Writable {
  written = '';
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written += chunk.toString();
    done();
  }
}

/** Runs `berth <args>` to its end. */
export async function berth(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const stdout = new Capture();
  const stderr = new Capture();
  const program = new Command('berth').showHelpAfterError();
  program.command('up').description('as bin registers it');
  registerClientCommands(program, {
    env,
    stdout,
    stderr,
    isTty: false,
    exit: (code) => {
      throw new Ended(code);
    },
  });
  const code = await program.parseAsync([...args], { from: 'user' }).then(
    () => 0,
    (error: unknown) => {
      if (error instanceof Ended) return error.code;
      throw error;
    },
  );
  return { code, stdout: stdout.written, stderr: stderr.written };
}

/** Words of a command line; none of ours has spaces within. */
export const words = (line: string): readonly string[] => line.split(' ');
