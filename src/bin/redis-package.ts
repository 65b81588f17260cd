/**
 * Gets a Redis server from the machine's own Debian or Ubuntu archive without being root and
 * without installing anything: the packages are unpacked into a folder of ours.
 * Running the server is embedded-redis.ts's part.
 */
import { execFile } from 'node:child_process';
import { access, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Log } from '../model/ports.js';

const run = promisify(execFile);

/** For one command; the slowest, reading the archive's lists, takes seconds on a fair line. */
const COMMAND_LIMIT_MS = 180_000;

/** Packages of the C runtime. Every machine has them, and a second copy would break the program. */
const RUNTIME = /^(libc6|libc-bin|libgcc-s1|gcc-\d+-base|libcrypt1|libstdc\+\+6)$/;

export interface RedisProgram {
  readonly command: string;
  /** What the program needs in its environment. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The server in `dir`, fetched if it is not there yet.
 * @returns null where the machine has no such archive
 * @throws Error when the archive does not give it
 */
export async function fetchRedis(
  dir: string,
  options: { readonly log: Log; readonly searchPath: string },
): Promise<RedisProgram | null> {
  const program = join(dir, 'usr/bin/redis-server');
  if (await exists(program)) return programIn(dir);
  const tools = ['apt-get', 'dpkg-deb', 'dpkg-query'].map((name) =>
    findProgram(name, options.searchPath),
  );
  if ((await Promise.all(tools)).includes(null)) return null;

  // A warning, because it explains why a first start takes seconds.
  options.log.warn('no Redis server here: fetching one from the package archive, once', { dir });
  // Made aside and renamed, so that half a download is never taken for a whole one.
  const making = `${dir}.making`;
  await rm(making, { recursive: true, force: true });
  await mkdir(join(making, 'debs'), { recursive: true, mode: 0o700 });
  try {
    await download(making, options.searchPath);
    await unpack(making, options.searchPath);
    await rm(dir, { recursive: true, force: true });
    await rename(join(making, 'root'), dir);
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  const found = await programIn(dir);
  await run(found.command, ['--version'], { env: { ...process.env, ...found.env } });
  return found;
}

/** Full path of a program on the search path, or null. */
export async function findProgram(name: string, searchPath: string): Promise<string | null> {
  for (const folder of searchPath.split(':').filter((entry) => entry.startsWith('/'))) {
    const file = join(folder, name);
    if (await exists(file)) return file;
  }
  return null;
}

/** Downloads by the machine's lists; where these are empty or old, by fresh ones of our own. */
async function download(making: string, searchPath: string): Promise<void> {
  const state = join(making, 'apt');
  const status = join(state, 'status');
  await mkdir(join(state, 'lists/partial'), { recursive: true });
  await mkdir(join(state, 'cache/archives/partial'), { recursive: true });
  // With no package called installed, a simulated installation lists all that the server needs.
  await writeFile(status, '');
  const options = [
    `Dir::State::status=${status}`,
    `Dir::Cache=${join(state, 'cache')}`,
    // As root, apt would fetch as a user who may not write here.
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option]);
  const apt = (...args: string[]) =>
    execute('apt-get', [...options, ...args], join(making, 'debs'), searchPath);
  const own = ['-o', `Dir::State::lists=${join(state, 'lists')}`];
  try {
    await apt('download', ...(await packages((...args) => apt(...args), searchPath)));
  } catch {
    await apt(...own, 'update');
    const names = await packages((...args) => apt(...own, ...args), searchPath);
    await apt(...own, 'download', ...names);
  }
}

/** redis-tools (which holds the server's program too) and what it needs that is not installed. */
async function packages(
  apt: (...args: string[]) => Promise<string>,
  searchPath: string,
): Promise<string[]> {
  const plan = await apt('--simulate', '--no-install-recommends', 'install', 'redis-tools');
  const needed = [...plan.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? '');
  const query = ['--show', '--showformat=${db:Status-Status} ${Package}\n'];
  const list = await execute('dpkg-query', query, '/', searchPath);
  const installed = new Set([...list.matchAll(/^installed (\S+)/gm)].map((match) => match[1]));
  return needed.filter(
    (name) => name === 'redis-tools' || (!installed.has(name) && !RUNTIME.test(name)),
  );
}

async function unpack(making: string, searchPath: string): Promise<void> {
  const root = join(making, 'root');
  for (const file of await readdir(join(making, 'debs'))) {
    if (!file.endsWith('.deb')) continue;
    await execute('dpkg-deb', ['--extract', join(making, 'debs', file), root], making, searchPath);
  }
  // One program under many names: it is the server when it is called so.
  await symlink('redis-check-rdb', join(root, 'usr/bin/redis-server'));
}

async function programIn(dir: string): Promise<RedisProgram> {
  const folders: string[] = [];
  for (const base of ['usr/lib', 'lib']) {
    const entries = await readdir(join(dir, base)).catch(() => []);
    // Debian keeps libraries in a folder per machine type, such as aarch64-linux-gnu.
    const typed = entries.filter((entry) => entry.includes('-linux-gnu'));
    folders.push(...[...typed, '.'].map((entry) => join(dir, base, entry)));
  }
  return {
    command: join(dir, 'usr/bin/redis-server'),
    env: { LD_LIBRARY_PATH: folders.join(':') },
  };
}

async function execute(
  name: string,
  args: readonly string[],
  cwd: string,
  searchPath: string,
): Promise<string> {
  const { stdout } = await run(name, args, {
    cwd,
    timeout: COMMAND_LIMIT_MS,
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, PATH: searchPath, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
  });
  return stdout;
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file, 1 /* may be executed */);
    return true;
  } catch {
    return false;
  }
}
