/** Single-use join tokens for hosts of this process, made through the API as any admin would. */
import { newTokenSchema } from '../wire/tokens.js';

/** Long enough for a control plane that is slow to answer, and no longer. */
const EXPIRES_IN_S = 600;

const LIMIT_MS = 10_000;

/**
 * @param url base URL of the control plane
 * @returns what makes a token for the host of that name; it fails when the control plane refuses
 */
export const joinTokenFrom =
  (url: string, adminToken: string) =>
  async (name: string): Promise<string> => {
    const answer = await fetch(`${url}/v1/tokens`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ role: 'join', name, expiresInS: EXPIRES_IN_S }),
      // The token is for this address only.
      redirect: 'error',
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    const made = newTokenSchema.safeParse(await answer.json());
    if (made.success) return made.data.token;
    throw new Error(`no token to join with was given (status ${answer.status.toString()})`);
  };
