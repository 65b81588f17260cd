/** Paths of tenants, `tenant:project`, from the widest name to the narrowest. */

/** The path of what belongs to no tenant. */
export const ROOT_PATH = 'root';

/** One to eight names of letters, digits, `.`, `_` and `-`, joined by colons; 255 characters. */
export const PATH_PATTERN =
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(:[A-Za-z0-9][A-Za-z0-9._-]{0,62}){0,7}$/;

export const PATH_LENGTH_MAX = 255;

/** Whether a path is another or lies below it: `acme:web` is below `acme`, `acmex` is not. */
export const isAtOrBelow = (path: string, above: string): boolean =>
  path === above || path.startsWith(`${above}:`);
