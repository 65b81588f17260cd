/**
 * Who asks, and what they may. Everything needs a token unless the route table says otherwise, so a
 * path that nobody thought of is closed to strangers; what a known caller may use, its route says.
 */
import { timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { DomainError } from '../model/errors.js';
import type { Catalogue } from '../model/ports.js';
import type { Credential } from '../model/token.js';
import { hashOf } from '../std/secret.js';
import type { Principal } from './principal.js';
import type { Route } from './route.js';
import { shared } from './shared-lookup.js';

export interface GateOptions {
  readonly routes: readonly Route[];
  /** Opens everything without a question to the catalogue, so that it works before all others. */
  readonly adminToken: string;
  readonly catalogue: Pick<Catalogue, 'credential'>;
  /** Called before the catalogue is asked; throws when this caller was wrong too often. */
  readonly beforeLookup: (address: string) => Promise<void>;
}

/** What a request shows of its sender. */
export interface Shown {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Where the connection comes from. */
  readonly address: string;
}

/**
 * - `open`: nobody is asked here.
 * - `known`: who it is. What it may, `authorize` says.
 * - `stranger`: `challenge` goes into WWW-Authenticate; `wasWrong`: something was shown.
 */
export type Verdict =
  | { readonly kind: 'open' }
  | { readonly kind: 'known'; readonly principal: Principal }
  | { readonly kind: 'stranger'; readonly challenge: string; readonly wasWrong: boolean };

export type Gate = (shown: Shown) => Promise<Verdict>;

/** Tokens of our making: anything else is nobody's, and the catalogue need not be asked. */
const TOKEN_PATTERN = /^berth_(host_)?[A-Za-z0-9_-]{43}$/;

/** The actor of the configured token. */
export const ADMIN: Principal = {
  who: 'admin',
  actor: { kind: 'token', id: 'admin', name: 'admin' },
  path: null,
  hostId: null,
};

/** Builds the question "who asks?". Public routes and pages have fixed paths. */
export function createGate({ routes, adminToken, catalogue, beforeLookup }: GateOptions): Gate {
  const admin = Buffer.from(hashOf(adminToken));
  const find = shared((hash) => catalogue.credential(hash));
  const open = pathsOf(routes, ({ access }) => access === 'public');
  const pages = pathsOf(routes, ({ browser }) => browser === true);

  const identify = async (secret: string, address: string): Promise<Principal | null> => {
    const hash = hashOf(secret);
    // Equal lengths make the comparison constant in time whatever is shown.
    if (timingSafeEqual(Buffer.from(hash), admin)) return ADMIN;
    await beforeLookup(address);
    if (!TOKEN_PATTERN.test(secret)) return null;
    const credential = await find(hash);
    return credential === null ? null : principalOf(credential);
  };

  return async ({ method, path, headers, address }) => {
    const place = `${method} ${path}`;
    if (open.has(place)) return { kind: 'open' };
    const isPage = pages.has(place);
    const secret = shownSecret(headers.authorization, isPage);
    const principal = secret === undefined ? null : await identify(secret, address);
    if (principal !== null) return { kind: 'known', principal };
    const wasWrong = headers.authorization !== undefined;
    return { kind: 'stranger', challenge: challengeOf(isPage, wasWrong), wasWrong };
  };
}

/** @throws DomainError `forbidden` when the route is not for such callers */
export function authorize({ access }: Route, { who }: Principal): void {
  if (access === 'public' || access.includes(who)) return;
  const roles = access.join(', ');
  throw new DomainError('forbidden', `This is not for ${who} tokens; it is for: ${roles}.`);
}

function principalOf(credential: Credential): Principal {
  const { kind, id, name } = credential;
  const actor = { kind, id, name } as const;
  if (kind === 'host') return { who: 'host', actor, path: null, hostId: id };
  return { who: credential.role, actor, path: credential.path, hostId: null };
}

function pathsOf(routes: readonly Route[], wanted: (route: Route) => boolean): ReadonlySet<string> {
  const paths = new Set<string>();
  for (const { method, path } of routes.filter(wanted)) {
    paths.add(`${method.toUpperCase()} ${path}`);
    if (method === 'get') paths.add(`HEAD ${path}`);
  }
  return paths;
}

/** Pages take the token as the password of HTTP Basic, too: browsers ask for nothing else. */
function shownSecret(header: string | undefined, isPage: boolean): string | undefined {
  if (header === undefined) return undefined;
  const bearer = /^Bearer +([\x21-\x7e]+)$/i.exec(header)?.[1];
  if (bearer !== undefined || !isPage) return bearer;
  const basic = /^Basic +([A-Za-z0-9+/=]+)$/i.exec(header)?.[1];
  if (basic === undefined) return undefined;
  const [, password] = /^[^:]*:(.*)$/s.exec(Buffer.from(basic, 'base64').toString('utf8')) ?? [];
  return password;
}

function challengeOf(isPage: boolean, wasWrong: boolean): string {
  const bearer = `Bearer realm="berth"${wasWrong ? ', error="invalid_token"' : ''}`;
  // Browsers ask their user only when Basic is offered.
  return isPage ? `Basic realm="berth", charset="UTF-8", ${bearer}` : bearer;
}
