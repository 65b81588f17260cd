/** Requests to the documented routes of a server, from their examples, each wrong in some way. */
import type { Prng } from '../../src/std/prng.js';
import { anyValue, jsonLike, mutated, mutatedText, TEXTS } from './mutate.js';

/** What is known of one route: enough for a request that works. */
export interface Target {
  readonly method: string;
  /** `/v1/vms/:id` */
  readonly path: string;
  readonly params: Readonly<Record<string, readonly string[]>>;
  /** Names of its query parameters, with values that work. */
  readonly query: Readonly<Record<string, readonly string[]>>;
  readonly body?: unknown;
}

export interface FuzzRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'TRACE'];

const CONTENT_TYPES = [
  'text/plain',
  'application/json; charset=utf-16',
  'application/json; charset=',
  'application/problem+json',
  'multipart/form-data; boundary=x',
  'application/x-www-form-urlencoded',
  ';',
  'application/json, text/plain',
];

const TOKENS = [
  'Bearer wrong',
  'Bearer ',
  'Basic !!!',
  'Basic ' + Buffer.from('a:b').toString('base64'),
  `Bearer berth_${'A'.repeat(43)}`,
  'Digest x',
  'Bearer ' + 'x'.repeat(8_000),
];

const ODD_HEADERS: readonly (readonly [string, string])[] = [
  ['expect', '100-continue'],
  ['expect', '200-maybe'],
  ['content-encoding', 'gzip'],
  ['content-encoding', 'br'],
  ['accept', 'text/html;q=0.1, */*;q=abc'],
  ['x-request-id', '../../x y'],
  ['x-request-id', 'x'.repeat(5_000)],
  ['if-none-match', '*'],
  ['range', 'bytes=0-0,-1'],
  ['last-event-id', '-1'],
  ['last-event-id', 'x'.repeat(2_000)],
  ['x-forwarded-for', '127.0.0.1'],
  ['x-http-method-override', 'DELETE'],
  ['x-filler', 'y'.repeat(15_000)],
  ['x-filler', 'y'.repeat(20_000)],
  ['cookie', '__proto__=1'],
];

export function requestFor(prng: Prng, targets: readonly Target[], bearer: string): FuzzRequest {
  const target = prng.pick(targets);
  const method = prng.chance(0.06) ? prng.pick(METHODS) : target.method;
  const headers: Record<string, string> = {
    authorization: prng.chance(0.05) ? prng.pick(TOKENS) : `Bearer ${bearer}`,
  };
  if (prng.chance(0.02)) delete headers.authorization;
  if (prng.chance(0.15)) {
    const [name, value] = prng.pick(ODD_HEADERS);
    headers[name] = value;
  }
  if (method === 'POST' && prng.chance(0.1)) {
    headers['idempotency-key'] = prng.chance(0.7) ? `key-${prng.between(0, 50).toString()}` : 'a b';
  }
  const body = bodyFor(prng, target, method);
  if (body !== null) {
    headers['content-type'] = prng.chance(0.06) ? prng.pick(CONTENT_TYPES) : 'application/json';
  }
  return { method, path: pathOf(prng, target) + queryOf(prng, target), headers, body };
}

/** Stands in a body for one of the ids of the route. */
export const SOME_ID = '$id';

function bodyFor(prng: Prng, target: Target, method: string): Buffer | null {
  const { params } = target;
  const text = JSON.stringify(target.body ?? null).replace(SOME_ID, prng.pick(params.id ?? ['x']));
  const body: unknown = JSON.parse(text);
  if (target.body === undefined) {
    return prng.chance(0.05) ? jsonLike(prng, anyValue(prng)) : null;
  }
  if (method === 'GET' || prng.chance(0.03)) return null;
  if (prng.chance(0.45)) return Buffer.from(text);
  let value = mutated(prng, body);
  while (prng.chance(0.3)) value = mutated(prng, value);
  return jsonLike(prng, value);
}

/** Half of a surrogate pair has no bytes. */
const escaped = (text: string): string =>
  encodeURIComponent(text.replaceAll(/\p{Surrogate}/gu, '\u{FFFD}'));

function pathOf(prng: Prng, { path, params }: Target): string {
  const filled = path.replaceAll(/:(\w+)/g, (_whole, name: string) => {
    const known = params[name] ?? ['x'];
    if (prng.chance(0.8)) return escaped(prng.pick(known));
    return prng.chance(0.3)
      ? prng.pick(['%00', '%ff', '%zz', '..', '%2e%2e', '%2f', '%25'])
      : escaped(mutatedText(prng, prng.pick(known)));
  });
  if (prng.chance(0.97)) return filled;
  return prng.pick([
    `${filled}/`,
    `/${filled}`,
    filled.toUpperCase(),
    `${filled};a=b`,
    `${filled}%`,
  ]);
}

function queryOf(prng: Prng, { query }: Target): string {
  const names = Object.keys(query);
  const pairs: string[] = [];
  for (const name of names) {
    if (!prng.chance(0.35)) continue;
    const known = query[name] ?? [];
    const value =
      known.length > 0 && prng.chance(0.6) ? prng.pick(known) : mutatedText(prng, prng.pick(TEXTS));
    pairs.push(`${escaped(name)}=${escaped(value)}`);
    if (prng.chance(0.05)) pairs.push(`${escaped(name)}=again`);
  }
  if (prng.chance(0.04))
    pairs.push(prng.pick(['__proto__=1', '%', '%zz=%ff', '=', 'a[b]=c', '&&']));
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

/** Bytes that are hardly HTTP: split, pipelined, lying about their lengths, or noise. */
export function garbage(prng: Prng, bearer: string): readonly Buffer[] {
  const auth = `Host: x\r\nAuthorization: Bearer ${bearer}\r\n`;
  const json = '{"resources":{"cpu":1,"memory":1,"disk":1}}';
  const post = `POST /v1/placements HTTP/1.1\r\n${auth}Content-Type: application/json\r\n`;
  const get = `GET /v1/vms?limit=1 HTTP/1.1\r\n${auth}\r\n`;
  const noise = Buffer.from(
    Array.from({ length: prng.between(1, 400) }, () => prng.between(0, 255)),
  );
  const texts = prng.pick<readonly string[]>([
    [`${post}Transfer-Encoding: chunked\r\n\r\n`, 'zz\r\n', json],
    [`${post}Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\nfffffffffffffffff\r\n`],
    [`${post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${get}`],
    [`${post}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{"a":1}`],
    [`${post}Content-Length: -1\r\n\r\n${json}`],
    [`${post}Content-Length: 3\r\n\r\n${json}`],
    [`${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    [
      `${post}Transfer-Encoding: chunked\r\n\r\n${json.length.toString(16)};x=y\r\n${json}\r\n0\r\n\r\n`,
    ],
    [get.slice(0, 9), get.slice(9, 30), get.slice(30)],
    [get.repeat(prng.between(2, 20))],
    ['GET /v1/vms HTTP/9.9\r\n\r\n'],
    ['GET http://elsewhere/v1/vms HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['GET /\u0000 HTTP/1.1\r\nHost: x\r\n\r\n'],
    [`GET /${'a'.repeat(40_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
    [`GET / HTTP/1.1\r\n${'X-A: b\r\n'.repeat(3_000)}\r\n`],
    ['GET / HTTP/1.1\r\nHost: x\r\n folded\r\nBad Header: x\r\n\r\n'],
    ['CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    [`${auth}\r\n\r\n`],
    ['GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n', 'frames'],
    ['GET / HTTP/1.0\r\n\r\n'],
    ['\r\n\r\n\r\n', get],
    ['\u0016\u0003\u0001\u0002\u0000\u0001'],
  ]);
  if (prng.chance(0.15)) return [noise];
  const parts = texts.map((text) => Buffer.from(text, 'latin1'));
  return prng.chance(0.1) ? [...parts, noise] : parts;
}
