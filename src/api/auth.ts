/**
 * Who may call what. Everything needs the admin token unless the route table says otherwise, so a
 * path that nobody thought of is closed.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Access, Route } from './route.js';

export interface Tokens {
  readonly adminToken: string;
  /** With which agents join, and nothing else. */
  readonly joinToken: string | undefined;
}

/** `challenge` goes into WWW-Authenticate. */
export type Verdict =
  { readonly allowed: true } | { readonly allowed: false; readonly challenge: string };

export type Gate = (method: string, path: string, headers: IncomingHttpHeaders) => Verdict;

const ALLOWED: Verdict = { allowed: true };

/** Builds the question "may this request pass?"; routes with another access have fixed paths. */
export function createGate(routes: readonly Route[], { adminToken, joinToken }: Tokens): Gate {
  const admin = digest(adminToken);
  const join = joinToken === undefined ? undefined : digest(joinToken);
  const accessOf = new Map<string, Access>();
  for (const { method, path, access } of routes) {
    if (access === 'admin') continue;
    accessOf.set(`${method.toUpperCase()} ${path}`, access);
    if (method === 'get') accessOf.set(`HEAD ${path}`, access);
  }

  return (method, path, headers) => {
    const access = accessOf.get(`${method} ${path}`) ?? 'admin';
    if (access === 'public') return ALLOWED;
    const shown = shownToken(headers.authorization, access);
    if (shown !== undefined) {
      const hash = digest(shown);
      if (timingSafeEqual(hash, admin)) return ALLOWED;
      if (access === 'join' && join !== undefined && timingSafeEqual(hash, join)) return ALLOWED;
    }
    return { allowed: false, challenge: challengeOf(access, headers.authorization !== undefined) };
  };
}

/** Equal lengths make the comparison constant in time whatever is shown. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

function shownToken(header: string | undefined, access: Access): string | undefined {
  if (header === undefined) return undefined;
  const bearer = /^Bearer +([\x21-\x7e]+)$/i.exec(header)?.[1];
  if (bearer !== undefined || access !== 'browser') return bearer;
  const basic = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(header)?.[1];
  if (basic === undefined) return undefined;
  const [, password] = /^[^:]*:(.*)$/s.exec(Buffer.from(basic, 'base64').toString('utf8')) ?? [];
  return password;
}

function challengeOf(access: Access, wasWrong: boolean): string {
  const bearer = `Bearer realm="berth"${wasWrong ? ', error="invalid_token"' : ''}`;
  // Browsers ask their user only when Basic is offered.
  return access === 'browser' ? `Basic realm="berth", charset="UTF-8", ${bearer}` : bearer;
}
