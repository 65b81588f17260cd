/**
 * The admin token: given by the environment, or a file in the data directory that only we read.
 * `berth up` alone writes that file.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './config.js';
import { errorCode } from '../std/error-code.js';

const FILE = 'admin.token';

export const adminTokenFile = (dataDir: string): string => join(dataDir, FILE);

/** The token of an earlier start, or null. */
export async function readAdminToken(dataDir: string): Promise<string | null> {
  try {
    const token = (await readFile(adminTokenFile(dataDir), 'utf8')).trim();
    return token === '' ? null : token;
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new Error(`${adminTokenFile(dataDir)} cannot be read (${code ?? 'no reason given'})`, {
      cause: error,
    });
  }
}

/** The given token or the one on disk, made if there is none; the file always holds it (0600). */
export async function keepAdminToken(dataDir: string, given: string | undefined): Promise<string> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const known = await readAdminToken(dataDir);
  const token = given ?? known ?? randomBytes(32).toString('base64url');
  if (token !== known) await writeFile(adminTokenFile(dataDir), `${token}\n`, { mode: 0o600 });
  return token;
}

/**
 * The token of a replica, which keeps nothing on its disk.
 * @throws Error when there is none
 */
export async function replicaToken({ auth, dataDir }: Config): Promise<string> {
  const token = auth.adminToken ?? (await readAdminToken(dataDir));
  if (token !== null) return token;
  throw new Error(
    'berth serve needs BERTH_ADMIN_TOKEN: the token of the people and programs that use the API, the same for all replicas',
  );
}

/** Hosts that are this machine, as `URL.hostname` writes them. */
const LOCAL_HOST = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * What an agent joins with. The token that `berth up` left is shown to this machine only.
 * @throws Error when there is none
 */
export async function agentToken({ auth, agent, dataDir }: Config): Promise<string> {
  const given = auth.joinToken ?? auth.adminToken;
  if (given !== undefined) return given;
  const isLocal = LOCAL_HOST.test(new URL(agent.controlPlaneUrl).hostname);
  const token = isLocal ? await readAdminToken(dataDir) : null;
  if (token !== null) return token;
  throw new Error(
    'berth agent needs BERTH_JOIN_TOKEN to join with (on the machine of berth up, with the same BERTH_DATA_DIR, it takes the token that this left)',
  );
}
