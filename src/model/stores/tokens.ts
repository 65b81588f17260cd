/** The part of the catalogue port that is about tokens. */
import type { Actor } from '../actor.js';
import type { Page } from '../page.js';
import type { Credential, NewToken, Token } from '../token.js';

export interface TokenStore {
  createToken(token: NewToken, by: Actor): Promise<Token>;
  /** All of them, the revoked and expired too, in order of creation. */
  tokens(query: { readonly limit: number; readonly cursor: string | null }): Promise<Page<Token>>;
  /**
   * From the moment this returns the token opens nothing. A repeat changes nothing.
   * @returns the token; null when there is none
   */
  revokeToken(id: string, by: Actor): Promise<Token | null>;
  /**
   * Whose secret this is: of a token that is neither revoked nor expired, or of a host that is not
   * retired. A join token that was used is found, too: its host may not have heard the answer.
   * @param hash SHA-256 of the secret, in hex
   */
  credential(hash: string): Promise<Credential | null>;
}
