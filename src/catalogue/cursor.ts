/** Cursors of lists: the position of the last item of a page, opaque to callers. */
import { DomainError } from '../model/errors.js';

export const cursorOf = (position: number): string =>
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
