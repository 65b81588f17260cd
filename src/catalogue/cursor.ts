/** Cursors of lists: the position of the last item of a page, opaque to callers. */
import { DomainError } from '../model/errors.js';

export const cursorOf = (position: number): string =>
  Buffer.from(`p${position.toString()}`).toString('base64url');

/** @throws DomainError `invalid_request` naming `cursor` */
export function positionOf(cursor: string): number {
  const text = textOf(cursor);
  const position = /^p\d{1,15}$/.test(text) ? Number(text.slice(1)) : NaN;
  if (Number.isSafeInteger(position)) return position;
  throw notOurs();
}

/** The last item of a page as its reader knows it already. */
export interface LastSeen {
  readonly id: string;
  /** Milliseconds since 1970; finds the place when the item is gone for good. */
  readonly createdAtMs: number;
}

/**
 * For lists that tenants may read: a position would tell them how much happens beside them, so this
 * holds nothing but what the page itself showed.
 */
export const lastSeenCursor = ({ id, createdAtMs }: LastSeen): string =>
  Buffer.from(`v${createdAtMs.toString()} ${id}`).toString('base64url');

/** @throws DomainError `invalid_request` naming `cursor` */
export function lastSeenOf(cursor: string): LastSeen {
  const [, at, id] = /^v(\d{1,15}) ([A-Za-z0-9][A-Za-z0-9._-]{0,63})$/.exec(textOf(cursor)) ?? [];
  if (at !== undefined && id !== undefined) return { id, createdAtMs: Number(at) };
  throw notOurs();
}

const textOf = (cursor: string): string => Buffer.from(cursor, 'base64url').toString('utf8');

const notOurs = (): DomainError =>
  new DomainError('invalid_request', 'The cursor is not one of ours.', {
    errors: [{ field: 'cursor', message: 'must be the nextCursor of the page before' }],
  });
