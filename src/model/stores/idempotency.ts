/** The catalogue's memory of requests that carried an Idempotency-Key, and of what was answered. */

/** Names a request: whose it is, and the key that the caller chose. */
export interface RequestName {
  readonly scope: string;
  readonly key: string;
}

export interface StoredAnswer {
  readonly status: number;
  /** The JSON text of the body. */
  readonly text: string;
}

/**
 * - `begun`: answer it. `seed` is the same whenever this request is begun, so that ids made of it
 *   are those of an earlier try that broke off.
 * - `answered`: it was answered before, with this.
 * - `in_progress`: somebody is answering it, or was until a moment ago.
 * - `reused`: the key belongs to another request.
 */
export type RequestBeginning =
  | { readonly kind: 'begun'; readonly seed: string }
  | { readonly kind: 'answered'; readonly answer: StoredAnswer }
  | { readonly kind: 'in_progress' | 'reused' };

export interface IdempotencyStore {
  /**
   * @param requestHash fingerprint of what is asked
   * @param lease a fresh name for this try: only whoever holds it can say how it ended
   * @param leaseMs after this time without `extendRequest` another try may begin
   */
  beginRequest(
    name: RequestName,
    requestHash: string,
    lease: string,
    leaseMs: number,
  ): Promise<RequestBeginning>;
  extendRequest(name: RequestName, lease: string, leaseMs: number): Promise<void>;
  /** Keeps the answer for repeats. */
  keepAnswer(name: RequestName, lease: string, answer: StoredAnswer): Promise<void>;
  /** There is no answer to keep: the next try may begin at once. */
  reopenRequest(name: RequestName, lease: string): Promise<void>;
  /** Nothing was begun: the key is free for any request. */
  forgetRequest(name: RequestName, lease: string): Promise<void>;
  /** Forgets requests that were begun longer ago than this. @returns how many */
  purgeRequests(olderThanMs: number): Promise<number>;
}
