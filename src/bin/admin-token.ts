/**
 * The admin token: given by the environment, or a file in the data directory that only we read.
 * `berth up` alone writes that file.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentOptions } from '../agent/agent.js';
import { identityFile } from '../agent/identity.js';
import { errorCode } from '../std/error-code.js';
import type { Config } from './config.js';
import { agentDir } from './data-dir.js';
import { joinTokenFrom } from './join-token.js';

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
 * Where an agent gets the token for its first join from: BERTH_JOIN_TOKEN, or the control plane, if
 * this process has an admin token. That of `berth up` is shown to this machine only.
 * @param isOne whether it is the agent of this machine; it may have joined before and need none
 * @throws Error when there is none to be had
 */
export async function joinTokens(config: Config, isOne: boolean): Promise<JoinTokens> {
  const { auth, agent, dataDir } = config;
  const { joinToken: given, controlPlaneUrl } = agent;
  if (given !== undefined) return () => Promise.resolve(given);
  const isLocal = LOCAL_HOST.test(new URL(controlPlaneUrl).hostname);
  const admin = auth.adminToken ?? (isLocal ? await readAdminToken(dataDir) : null);
  if (admin !== null) return joinTokenFrom(controlPlaneUrl, admin);
  if (isOne && existsSync(identityFile(agentDir(dataDir)))) return () => Promise.resolve(null);
  throw new Error(
    'berth agent needs BERTH_JOIN_TOKEN to join for the first time: berth token create --role join makes one (on the machine of berth up, with the same BERTH_DATA_DIR, it gets one by itself)',
  );
}

type JoinTokens = AgentOptions['joinToken'];
