/**
 * `npm start`: from a fresh clone to a running Berth. Installs and builds what is missing or old,
 * then runs `berth up` with the same arguments. Plain JavaScript on Node alone.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, isBuilt, root } from './build.mjs';

/** As in package.json's `engines`. */
const NODE_MIN = [20, 19];

const stampFile = join(root, 'node_modules/.installed-from');

const lockHash = () =>
  createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');

/** Whether node_modules is what package-lock.json says. */
function isInstalled() {
  if (existsSync(stampFile)) return readFileSync(stampFile, 'utf8') === lockHash();
  return matchesLock();
}

/** For a node_modules that somebody else installed: compares npm's own record of it. */
function matchesLock() {
  const record = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(record)) return false;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const present = JSON.parse(readFileSync(record, 'utf8')).packages;
  const same = Object.entries(wanted).every(
    ([path, { version, optional, devOptional }]) =>
      path === '' || optional || devOptional || present[path]?.version === version,
  );
  if (same) writeFileSync(stampFile, lockHash());
  return same;
}

/** Makes node_modules whole; answers npm's exit code. */
export function install() {
  if (isInstalled()) return 0;
  console.error('Installing packages (npm ci) …');
  // With its development packages, whatever NODE_ENV says: the compiler is one of them.
  const { status } = spawnSync('npm', ['ci', '--include=dev', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status === 0) writeFileSync(stampFile, lockHash());
  return status ?? 1;
}

/** Makes dist whole; answers the compiler's exit code. */
export function buildIfOld() {
  if (isBuilt()) return 0;
  console.error('Building …');
  return build();
}

/** Ends the process with one line when this Node cannot run Berth. */
export function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [majorMin, minorMin] = NODE_MIN;
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return;
  console.error(`Berth needs Node ${NODE_MIN.join('.')} or newer; this is ${process.version}.`);
  process.exit(1);
}

function runBerth(args) {
  const child = spawn(process.execPath, [join(root, 'dist/bin/berth.js'), 'up', ...args], {
    stdio: 'inherit',
  });
  // On a terminal Ctrl-C reaches both of us. The child must stop in its own order, so that this
  // process only waits for it; a signal that was sent to this process alone is passed on.
  process.on('SIGINT', () => {
    if (!process.stdin.isTTY) child.kill('SIGINT');
  });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(error.message);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  requireNode();
  const settings = join(root, '.env');
  // What the environment has already wins.
  if (existsSync(settings)) process.loadEnvFile(settings);
  const status = install() || buildIfOld();
  if (status === 0) runBerth(process.argv.slice(2));
  else process.exit(status);
}
