/** What an answer must be, whatever was asked. */
import { ERROR_CODES, type ErrorCode } from '../../src/model/errors.js';
import { errorCodesOf } from '../../src/api/openapi.js';
import { PROBLEM_CONTENT_TYPE, problemSchema } from '../../src/wire/problem.js';
import { routeFor } from '../support/api-server.js';
import type { Shot } from './fire.js';
import type { FuzzRequest } from './requests.js';

/** Lines of a stack, folders of ours, and what databases say of themselves. */
const LEAKS = /\n\s+at |node_modules|\/src\/|dist\/bin|syntax error at or near|SQLSTATE/;

/** @returns what is wrong with it; null when it is right */
export function faultOf(sent: FuzzRequest, shot: Shot): string | null {
  const { status, contentType, text } = shot;
  if (status === 500 || ERROR_STATUSES.has(status) === status < 400) {
    return `status ${status.toString()}`;
  }
  if (status >= 400 && LEAKS.test(text)) return 'it tells of its inside';
  if (status < 400 || sent.method === 'HEAD') return null;
  if (!contentType.startsWith(PROBLEM_CONTENT_TYPE)) return `content type ${contentType}`;
  const problem = problemSchema.safeParse(JSON.parse(text));
  if (!problem.success) return 'no problem document';
  if (problem.data.status !== status) return 'the document has another status';
  return problem.data.code in ERROR_CODES ? null : `unknown code ${problem.data.code}`;
}

const ERROR_STATUSES = new Set<number>(Object.values(ERROR_CODES).map(({ status }) => status));

/** As `faultOf`, by the table of routes of the control plane. */
export function faultOfApi(sent: FuzzRequest, shot: Shot): string | null {
  const route = routeOf(sent);
  // Such as a readiness that is told with 503.
  const isDocumented = route?.answers[shot.status] !== undefined;
  const general = isDocumented && sent.method !== 'HEAD' ? null : faultOf(sent, shot);
  if (general !== null || route === undefined || sent.method === 'HEAD') return general;
  const { status, contentType, text } = shot;
  if (status >= 400 && !isDocumented) {
    const { code } = JSON.parse(text) as { code: ErrorCode };
    return errorCodesOf(route).includes(code) ? null : `${route.name} does not document ${code}`;
  }
  const documented = route.answers[status];
  if (documented === undefined) return `${route.name} does not document ${status.toString()}`;
  if (documented.schema === undefined || !contentType.includes('json')) return null;
  const parsed = documented.schema.safeParse(JSON.parse(text));
  return parsed.success ? null : `not as documented: ${parsed.error.message.slice(0, 300)}`;
}

function routeOf({ method, path }: FuzzRequest): ReturnType<typeof routeFor> {
  // Only a path that every reader understands alike says which route it means.
  return /^\/[\w/.-]*(\?|$)/.test(path) && !path.includes('..') && !/\/\.(\/|\?|$)/.test(path)
    ? routeFor(method, path)
    : undefined;
}

/** Of what came back over a bare connection. */
export function faultOfBytes(text: string): string | null {
  if (text === '') return null;
  const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
  if (statuses.length === 0) return `no HTTP: ${text.slice(0, 60)}`;
  const bad = statuses.find((status) => status >= 500 && status !== 503);
  if (bad !== undefined) return `status ${bad.toString()}`;
  return LEAKS.test(text) ? 'it tells of its inside' : null;
}
