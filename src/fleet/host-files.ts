/**
 * Images and consoles, asked of host agents. Apart from the client of orders: an image takes long,
 * and must not keep an order waiting for a connection. Answers are limited and checked all the same.
 */
import { Readable } from 'node:stream';
import { Agent as Connections, type Dispatcher } from 'undici';
import { DomainError, ERROR_CODES, type ErrorCode } from '../model/errors.js';
import type { HostImage, ImageSource } from '../model/images.js';
import type { AgentContact, HostFiles } from '../model/ports.js';
import { errorLine } from '../std/error-code.js';
import { hostImageSchema, hostImagesSchema, imageRemovalSchema } from '../wire/images.js';
import type { HostImageBody } from '../wire/images.js';
import { logPieceSchema } from '../wire/logs.js';
import { problemSchema } from '../wire/problem.js';
import { fleetNetworks, PRIVATE_NETWORKS } from './addresses.js';
import { originOf, parsed, unreachable, type Schema } from './native-client.js';

export type HostFilesClient = HostFiles & { close(): Promise<void> };

const CONNECTIONS_PER_HOST = 4;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const CONNECT_MS = 4_000;
/** For a call without an image. */
const DEADLINE_MS = 10_000;
/** An agent that takes nothing for so long, or says nothing after the last byte, is gone. */
const STALL_MS = 120_000;

interface Call {
  readonly method: Dispatcher.HttpMethod;
  readonly path: string;
  readonly source?: ImageSource;
}

/** @param given.networks where agents may be; the private networks when absent */
export function createHostFiles(
  given: { readonly networks?: readonly string[] | undefined } = {},
): HostFilesClient {
  const networks = fleetNetworks(given.networks ?? PRIVATE_NETWORKS);
  const connections = new Connections({
    connections: CONNECTIONS_PER_HOST,
    pipelining: 1,
    connect: { timeout: CONNECT_MS },
    // Watched by ourselves: how long an image takes, nobody knows.
    headersTimeout: 0,
    bodyTimeout: STALL_MS,
    maxResponseSize: ANSWER_BYTES_MAX,
  });

  const send = async (contact: AgentContact, { method, path, source }: Call) => {
    const watch = source === undefined ? DEADLINE_MS : STALL_MS;
    const limit = stallWatch(watch);
    try {
      const { statusCode, body } = await connections.request({
        origin: originOf(contact, networks),
        path,
        method,
        headers: {
          host: new URL(contact.address).host,
          authorization: `Bearer ${contact.credential}`,
          accept: 'application/json',
          ...(source === undefined
            ? {}
            : {
                'content-type': 'application/octet-stream',
                'content-length': source.bytes.toString(),
              }),
        },
        body: source === undefined ? null : Readable.from(watched(source, limit)),
        signal: limit.signal,
      });
      return { status: statusCode, json: parsed(await body.text()) };
    } finally {
      limit.end();
    }
  };

  /** @throws DomainError */
  const ask = async <T>(contact: AgentContact, call: Call, schema: Schema<T>): Promise<T> => {
    const { status, json } = await send(contact, call).catch((cause: unknown) => {
      throw unreachable(contact, `no answer: ${errorLine(cause)}`, cause);
    });
    const answer = status === 200 ? schema.safeParse(json) : null;
    if (answer?.success === true) return answer.data;
    throw (
      refusalIn(status, json) ?? unreachable(contact, `no usable answer (${status.toString()})`)
    );
  };

  return {
    async images(contact) {
      const call: Call = { method: 'GET', path: '/v1/images' };
      const { items, anyName } = await ask(contact, call, hostImagesSchema);
      return { items: items.map(imageOf), anyName };
    },
    async putImage(contact, name, source) {
      const format = source.format === null ? '' : `?format=${source.format}`;
      const path = `${pathOf(name)}${format}`;
      return imageOf(await ask(contact, { method: 'PUT', path, source }, hostImageSchema));
    },
    async removeImage(contact, name) {
      await ask(contact, { method: 'DELETE', path: pathOf(name) }, imageRemovalSchema);
    },
    async readLog(contact, vmId, part) {
      const query = Object.entries(part).map(([key, value]) => `${key}=${String(value)}`);
      const path = `/v1/vms/${encodeURIComponent(vmId)}/logs?${query.join('&')}`;
      const { data, ...rest } = await ask(contact, { method: 'GET', path }, logPieceSchema);
      return { bytes: Buffer.from(data, 'base64'), ...rest };
    },
    close: () => connections.close(),
  };
}

const pathOf = (name: string): string => `/v1/images/${encodeURIComponent(name)}`;

const imageOf = ({ addedAt, ...image }: HostImageBody): HostImage => ({
  name: image.name,
  format: image.format,
  bytes: image.bytes,
  virtualBytes: image.virtualBytes,
  digest: image.digest,
  addedAt: new Date(addedAt),
});

/** Aborts when nothing has happened for a while. */
interface StallWatch {
  readonly signal: AbortSignal;
  moved(): void;
  end(): void;
}

function stallWatch(limitMs: number): StallWatch {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(new Error(`nothing happened for ${limitMs.toString()} ms`));
  }, limitMs);
  return {
    signal: controller.signal,
    moved: () => {
      timer.refresh();
    },
    end: () => {
      clearTimeout(timer);
    },
  };
}

async function* watched(source: ImageSource, limit: StallWatch): AsyncGenerator<Uint8Array> {
  for await (const piece of source.read()) {
    limit.moved();
    yield piece;
  }
  limit.moved();
}

const DETAIL_LENGTH_MAX = 300;

const isKnown = (code: string): code is ErrorCode => Object.hasOwn(ERROR_CODES, code);

/** What an agent says no with is its own word, and told as it is. @returns null: it is no refusal */
function refusalIn(status: number, body: unknown): DomainError | null {
  const problem = problemSchema.safeParse(body);
  if (!problem.success || problem.data.status !== status || status >= 500) return null;
  const { code, detail } = problem.data;
  const told = detail.slice(0, DETAIL_LENGTH_MAX);
  if (!isKnown(code) || ERROR_CODES[code].status !== status || status === 401) return null;
  return new DomainError(code, told);
}
