/** Where the ledger's Redis is: one server, a master that Sentinels watch, or a cluster. */

/** What a Redis must be shown, and how it is spoken to. */
export interface RedisAccess {
  /** User of its access control list; what stands in a URL goes first. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Speak TLS; `ca` in PEM is believed instead of the usual authorities. */
  readonly tls?: { readonly ca?: string } | undefined;
}

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
}

/** A redis:// or rediss:// URL, or the path of a unix socket. */
export interface SingleRedis extends RedisAccess {
  readonly url: string;
}

export interface SentinelRedis extends RedisAccess {
  readonly sentinels: readonly NodeAddress[];
  /** Under which they know the master. */
  readonly name: string;
  readonly sentinelUsername?: string | undefined;
  readonly sentinelPassword?: string | undefined;
}

export interface ClusterRedis extends RedisAccess {
  /** Some of its nodes; they tell the others. */
  readonly cluster: readonly NodeAddress[];
}

/** A text is the URL of a single one. */
export type RedisTarget = string | SingleRedis | SentinelRedis | ClusterRedis;

/** Only what is given: a client would take an undefined for a value. */
export const accessOf = ({ username, password, tls }: RedisAccess) => ({
  ...(username === undefined ? {} : { username }),
  ...(password === undefined ? {} : { password }),
  ...(tls === undefined ? {} : { tls: { ...tls } }),
});

export const placeOf = ({ host, port }: NodeAddress): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port.toString()}`;
