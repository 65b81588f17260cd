/** The admin token: given by the environment, or a file in the data directory that only we read. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const FILE = 'admin.token';

export const adminTokenFile = (dataDir: string): string => join(dataDir, FILE);

/** The token of an earlier start, or null. */
export async function readAdminToken(dataDir: string): Promise<string | null> {
  try {
    const token = (await readFile(adminTokenFile(dataDir), 'utf8')).trim();
    return token === '' ? null : token;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
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
