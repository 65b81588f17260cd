/** Where the control plane is and what to show it, from the environment that the caller hands in. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CliFailure, EXIT, systemCode } from './failure.js';
import type { CliContext } from './context.js';

export interface Access {
  /** Base URL without a trailing slash. */
  readonly url: string;
  readonly token: string | null;
}

const DEFAULT_URL = 'http://127.0.0.1:8080';
const DEFAULT_DATA_DIR = '.berth';
/** `berth up` leaves it, readable by its owner only. */
const TOKEN_FILE = 'admin.token';

/** What a header can carry. */
const TOKEN_PATTERN = /^[\x21-\x7e]+$/;

/** Hosts that are this machine, as `URL.hostname` writes them. */
const LOCAL_HOST = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * @throws CliFailure when BERTH_URL or a token cannot be used
 */
export async function findAccess(env: CliContext['env']): Promise<Access> {
  const url = baseUrl(env.BERTH_URL || DEFAULT_URL);
  const token = env.BERTH_TOKEN?.trim() || (await localToken(url, env));
  if (token !== null && !TOKEN_PATTERN.test(token)) {
    throw new CliFailure(EXIT.usage, 'The token holds characters that no header can carry.', {
      hint: `look at BERTH_TOKEN, or at ${tokenFile(env)}`,
    });
  }
  return { url: url.href.replace(/\/+$/, ''), token };
}

/** Where the token of a control plane on this machine lies. */
export const tokenFile = (env: CliContext['env']): string =>
  join(env.BERTH_DATA_DIR || DEFAULT_DATA_DIR, TOKEN_FILE);

function baseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.search || url.hash) {
    throw new CliFailure(EXIT.usage, 'BERTH_URL must be an http or https address.', {
      hint: `for example BERTH_URL=${DEFAULT_URL}`,
    });
  }
  if (url.username !== '' || url.password !== '') {
    throw new CliFailure(EXIT.usage, 'BERTH_URL must not hold a user or a password.', {
      hint: 'put the token into BERTH_TOKEN',
    });
  }
  return url;
}

/** The token of this machine is shown to this machine only, never to whoever BERTH_URL names. */
async function localToken(url: URL, env: CliContext['env']): Promise<string | null> {
  if (!LOCAL_HOST.test(url.hostname)) return null;
  const file = tokenFile(env);
  try {
    const token = (await readFile(file, 'utf8')).trim();
    return token === '' ? null : token;
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new CliFailure(
      EXIT.failure,
      `The token in ${file} cannot be read (${code ?? 'no reason given'}).`,
      {
        hint: 'run this as the user who ran `berth up`, or set BERTH_TOKEN',
        cause,
      },
    );
  }
}
