/**
 * A real API on a free port over the double of control, and a caller that holds every answer to
 * what the route table documents.
 */
import { createApi, type Api, type ApiOptions } from '../../src/api/api.js';
import { createMetrics, type Metrics } from '../../src/api/metrics.js';
import { errorCodesOf } from '../../src/api/openapi.js';
import type { Route } from '../../src/api/route.js';
import { ROUTES } from '../../src/api/routes.js';
import { FILE_MEDIA_TYPE } from '../../src/api/upload.js';
import { PROBLEM_CONTENT_TYPE, problemSchema, type ProblemBody } from '../../src/wire/problem.js';
import { createControlDouble, type ControlDouble } from './control-double.js';
import { silentLog } from './log.js';

export const ADMIN_TOKEN = 'admin-token-for-tests-0123456789abcdef';

export interface Sent {
  readonly method?: string;
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** null: none. */
  readonly token?: string | null;
}

/** A file as the body. */
export const sentFile = (content: string): Sent => ({
  raw: content,
  headers: { 'content-type': FILE_MEDIA_TYPE },
});

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** What the body says, when it is JSON. */
  readonly json: unknown;
  /** The problem document; fails when it is none. */
  problem(): ProblemBody;
}

export interface ApiServer extends ControlDouble {
  readonly url: string;
  readonly port: number;
  readonly api: Api;
  readonly metrics: Metrics;
  call(path: string, sent?: Sent): Promise<Reply>;
}

export async function startApi(changes: Partial<ApiOptions> = {}): Promise<ApiServer> {
  const double = createControlDouble();
  const metrics = createMetrics();
  const api = createApi({
    control: double.control,
    catalogue: double.catalogue,
    adminToken: ADMIN_TOKEN,
    log: silentLog,
    metrics,
    version: '0.1.0',
    port: 0,
    bind: '127.0.0.1',
    ...changes,
  });
  const { url, port } = await api.listen();
  // The double is changed in place by tests, so it is not copied.
  return Object.assign(double, {
    url,
    port,
    api,
    metrics,
    call: (path: string, sent: Sent = {}) => call(url, path, sent),
  });
}

async function call(url: string, path: string, sent: Sent): Promise<Reply> {
  const { method = 'GET', token = ADMIN_TOKEN, raw, body } = sent;
  const headers = new Headers(sent.headers);
  if (token !== null && !headers.has('authorization')) {
    headers.set('authorization', `Bearer ${token}`);
  }
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  if (payload !== undefined && !headers.has('content-type')) {
    headers.set('content-type', 'application/json');
  }
  const answer = await fetch(`${url}${path}`, {
    method,
    headers,
    redirect: 'manual',
    ...(payload === undefined ? {} : { body: payload as string }),
  });
  const text = await answer.text();
  const json = jsonOf(answer.headers.get('content-type') ?? '', text);
  const reply: Reply = {
    status: answer.status,
    headers: answer.headers,
    text,
    json,
    problem: () => problemIn(reply),
  };
  checkAnswer(method, path, reply);
  return reply;
}

const jsonOf = (contentType: string, text: string): unknown =>
  contentType.includes('json') && text !== '' ? (JSON.parse(text) as unknown) : undefined;

function problemIn(reply: Reply): ProblemBody {
  const type = reply.headers.get('content-type');
  if (type !== PROBLEM_CONTENT_TYPE)
    throw new Error(`not a problem: ${String(type)} ${reply.text}`);
  const problem = problemSchema.parse(reply.json);
  if (problem.status !== reply.status) throw new Error(`status differs: ${reply.text}`);
  if (problem.requestId !== reply.headers.get('x-request-id')) {
    throw new Error(`request id differs: ${reply.text}`);
  }
  return problem;
}

/** The route that Express would choose. */
export function routeFor(method: string, path: string): Route | undefined {
  // As fetch sends it: without dots that stand for folders.
  const { pathname } = new URL(`http://localhost${path}`);
  return ROUTES.find((route) => {
    const shape = new RegExp(`^${route.path.replaceAll('.', '\\.').replaceAll(/:\w+/g, '[^/]+')}$`);
    const verb = method === 'HEAD' ? 'GET' : method;
    return route.method.toUpperCase() === verb && shape.test(pathname);
  });
}

/** @throws when the answer is not among those that the table documents for the route */
function checkAnswer(method: string, path: string, reply: Reply): void {
  const route = routeFor(method, path);
  const isProblem = reply.headers.get('content-type') === PROBLEM_CONTENT_TYPE;
  if (route === undefined) {
    if (method !== 'HEAD') problemIn(reply);
    return;
  }
  if (method === 'HEAD') return;
  if (isProblem) {
    const { code } = problemIn(reply);
    if (!errorCodesOf(route).includes(code)) {
      throw new Error(`${route.name} does not document ${code}`);
    }
    return;
  }
  const documented = route.answers[reply.status];
  if (documented === undefined) {
    throw new Error(`${route.name} does not document ${reply.status.toString()}: ${reply.text}`);
  }
  documented.schema?.parse(reply.json);
}
