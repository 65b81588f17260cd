/** Values as PostgreSQL's jsonb takes them. */

const REPLACEMENT = '\u{FFFD}';

/** How JSON.stringify writes what jsonb cannot keep. */
const UNKEPT = /\\u(0000|d[89a-f])/;

/**
 * The JSON text of a value. Agents may put any character into a reason; the two things that jsonb
 * cannot keep (NUL, and half of a surrogate pair) are replaced, because one of them would otherwise
 * refuse the whole statement.
 */
export function jsonOf(value: unknown): string {
  const text = JSON.stringify(value);
  if (isKeptAsItIs(text)) return text;
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'string'
      ? member.replaceAll('\0', REPLACEMENT).replaceAll(/\p{Surrogate}/gu, REPLACEMENT)
      : member,
  );
}

/** Whether the database keeps all of what a JSON text says. */
export const isKeptAsItIs = (json: string): boolean => !UNKEPT.test(json);

/** `jsonOf`, with null as the database's own. */
export const jsonOrNull = (value: unknown): string | null =>
  value === null ? null : jsonOf(value);
