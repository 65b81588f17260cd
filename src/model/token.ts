/** Tokens: what somebody shows to be let in. The secret itself is shown once and kept by nobody here. */
import { ROLES } from './actor.js';

/** `join` makes a machine a host, once, and opens nothing else. */
export const TOKEN_ROLES = [...ROLES, 'join'] as const;
export type TokenRole = (typeof TOKEN_ROLES)[number];

export interface Token {
  readonly id: string;
  /** How its secret begins: enough to recognise it, too little to guess it. */
  readonly prefix: string;
  readonly role: TokenRole;
  readonly name: string;
  /** What a tenant is bound to; null for every other role. */
  readonly path: string | null;
  readonly createdAt: Date;
  /** Name of whoever made it. */
  readonly createdBy: string;
  /** null: never. */
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
  /** When a join token let its host in; null for every other role. */
  readonly usedAt: Date | null;
  /** The host that it let in. */
  readonly usedBy: string | null;
}

/** A token to be kept. */
export interface NewToken extends Pick<Token, 'id' | 'prefix' | 'role' | 'name' | 'path'> {
  /** SHA-256 of the secret, in hex. */
  readonly hash: string;
  /** Seconds from now; null: never. */
  readonly expiresInS: number | null;
}

/** Whom a secret that was shown belongs to. */
export type Credential =
  | ({ readonly kind: 'token' } & Pick<Token, 'id' | 'name' | 'role' | 'path'>)
  | { readonly kind: 'host'; readonly id: string; readonly name: string };

/**
 * On whose word a machine may join as a host.
 * - `admin`: an admin's; it may even replace what a known host proves itself with.
 * - `token`: that of a join token, which is used up by it.
 * - `host`: the host's own, for nobody but itself.
 */
export type JoinTicket =
  | { readonly by: 'admin' }
  | { readonly by: 'token'; readonly tokenId: string }
  | { readonly by: 'host'; readonly hostId: string };
