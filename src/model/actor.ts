/** Who asks for something: for the audit log, and for what may be seen. Holds no secret. */

/** What a token allows. A tenant sees and changes only what lies below its path. */
export const ROLES = ['admin', 'operator', 'viewer', 'tenant'] as const;
export type Role = (typeof ROLES)[number];

/** Whoever did something, as the audit log names them. */
export interface Actor {
  readonly kind: 'token' | 'host' | 'system';
  /** Id of the token or the host; `admin` for the configured admin token. */
  readonly id: string;
  readonly name: string;
  /** Of the request with which it was asked for; null for what Berth does by itself. */
  readonly requestId: string | null;
}

/** Berth itself: loops, expiries. */
export const BERTH: Actor = { kind: 'system', id: 'berth', name: 'berth', requestId: null };
