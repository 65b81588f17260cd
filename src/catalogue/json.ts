/** Values as PostgreSQL's jsonb takes them. */

const REPLACEMENT = '\u{FFFD}';

/**
 * The JSON text of a value. Agents may put any character into a reason; the two things that jsonb
 * cannot keep (NUL, and half of a surrogate pair) are replaced, because one of them would otherwise
 * refuse the whole statement.
 */
export const jsonOf = (value: unknown): string =>
  JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'string'
      ? member.replaceAll('\0', REPLACEMENT).replaceAll(/\p{Surrogate}/gu, REPLACEMENT)
      : member,
  );

/** `jsonOf`, with null as the database's own. */
export const jsonOrNull = (value: unknown): string | null =>
  value === null ? null : jsonOf(value);
