/**
 * Cursors of lists: where the last page ended, opaque to callers. Pages of VMs have them too: the
 * real ones name the last VM instead, so that nobody learns how many there are.
 */
import { DomainError } from '../../model/errors.js';
import type { Page } from '../../model/page.js';

const cursorOf = (position: number): string =>
  Buffer.from(`p${position.toString()}`).toString('base64url');

/** @throws DomainError `invalid_request` naming `cursor` */
export function positionOf(cursor: string): number {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  const position = /^p\d{1,15}$/.test(text) ? Number(text.slice(1)) : NaN;
  if (Number.isSafeInteger(position)) return position;
  throw new DomainError('invalid_request', 'The cursor is not one of ours.', {
    errors: [{ field: 'cursor', message: 'must be the nextCursor of the page before' }],
  });
}

/** The first page of what is found behind a cursor. */
export function pageOf<Row, Item>(
  found: readonly Row[],
  limit: number,
  place: (row: Row) => number,
  itemOf: (row: Row) => Item,
): Page<Item> {
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  const hasMore = found.length > limit && last !== undefined;
  return { items: rows.map(itemOf), nextCursor: hasMore ? cursorOf(place(last)) : null };
}
