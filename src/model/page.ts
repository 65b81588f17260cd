/** Lists that are handed out page by page. */

export interface PageQuery {
  readonly limit: number;
  /** Opaque; from the page before. */
  readonly cursor: string | null;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** null on the last page. */
  readonly nextCursor: string | null;
}
