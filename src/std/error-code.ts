/** What an error says of itself, without asking for its class: errors cross realms and packages. */

/** The `code` that Node and many packages put on their errors, such as `ENOENT`. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** One line for a log. */
export function errorLine(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('message' in error)) return String(error);
  const name = 'name' in error ? String(error.name) : 'Error';
  return `${name}: ${String(error.message)}`;
}
