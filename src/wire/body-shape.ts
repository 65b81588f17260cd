/** What no body may be, whatever its schema: too deep, or with a name that schemas pass over. */
import type { FieldError } from '../model/errors.js';
import { fieldOf, UNKNOWN_FIELD, WHOLE_BODY } from './field-errors.js';

/** Deepest nesting of a body: none of ours needs more than five. */
const BODY_DEPTH_MAX = 32;

/** zod neither keeps nor reports it in a record, so that it would be ignored without a word. */
const FORBIDDEN_NAME = '__proto__';

/** Every mistake of shape in a body as JSON.parse gives it; a body that is too deep has no other. */
export function bodyShapeErrors(body: unknown): readonly FieldError[] {
  const found: FieldError[] = [];
  if (collect(body, [], found)) return found;
  const message = `must not be nested deeper than ${BODY_DEPTH_MAX.toString()} levels`;
  return [{ field: WHOLE_BODY, message }];
}

/** @returns whether it is shallow enough */
function collect(value: unknown, path: string[], found: FieldError[]): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (path.length === BODY_DEPTH_MAX) return false;
  for (const [name, item] of Object.entries(value)) {
    path.push(name);
    if (name === FORBIDDEN_NAME && !Array.isArray(value)) {
      found.push({ field: fieldOf(path), message: UNKNOWN_FIELD });
    }
    if (!collect(item, path, found)) return false;
    path.pop();
  }
  return true;
}
