/**
 * `npm test`: makes sure of what the tests stand on (packages, a build, real Redis and PostgreSQL
 * servers, openssl, QEMU), runs jest with the given arguments, and ends with the line `tests: N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../src/bin/build.mjs';
import { buildIfOld, install, requireNode } from '../../src/bin/start.mjs';

/** Debian and Ubuntu keep PostgreSQL's server programs off the search path. */
const POSTGRES_VERSIONS = '/usr/lib/postgresql';

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const onPath = (name) =>
  (process.env.PATH ?? '').split(':').some((folder) => folder && isProgram(join(folder, name)));

function hasPostgres() {
  if (onPath('initdb') && onPath('postgres')) return true;
  if (!existsSync(POSTGRES_VERSIONS)) return false;
  return readdirSync(POSTGRES_VERSIONS).some((version) =>
    ['initdb', 'postgres'].every((name) =>
      isProgram(join(POSTGRES_VERSIONS, version, 'bin', name)),
    ),
  );
}

/** Packages of the programs that are not there; openssl makes the certificates of the TLS tests,
 * QEMU runs guests and looks at images, genisoimage makes and reads their seeds. */
const missingPrograms = () => [
  ...(onPath('redis-server') || onPath('valkey-server') ? [] : ['redis-server']),
  ...(hasPostgres() ? [] : ['postgresql']),
  ...(onPath('openssl') ? [] : ['openssl']),
  ...(onPath('qemu-system-x86_64') ? [] : ['qemu-system-x86']),
  ...(onPath('qemu-img') ? [] : ['qemu-utils']),
  ...(onPath('genisoimage') ? [] : ['genisoimage']),
];

/**
 * Installs packages without letting them start services: a policy file that says no (exit 101)
 * stands there while it lasts. Sees to it that the machine is left as it was.
 */
const INSTALL = `
set -eu
policy=/usr/sbin/policy-rc.d
saved=
if [ -e "$policy" ]; then saved=$(mktemp); cp -p "$policy" "$saved"; fi
restore() {
  if [ -n "$saved" ]; then mv "$saved" "$policy"; else rm -f "$policy"; fi
}
trap restore EXIT
trap 'exit 130' INT TERM
printf '#!/bin/sh\\nexit 101\\n' > "$policy"
chmod 755 "$policy"
export DEBIAN_FRONTEND=noninteractive
apt="apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -y -q"
$apt install --no-install-recommends "$@" || { $apt update; $apt install --no-install-recommends "$@"; }
`;

/** Installs what is missing, or ends the process with one line that says what to do. */
function requirePrograms() {
  const missing = missingPrograms();
  if (missing.length === 0) return;
  const names = missing.join(' ');
  if (onPath('apt-get')) {
    console.error(`Installing ${names} for the tests …`);
    const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
    const [command, ...args] = [...asRoot, 'sh', '-c', INSTALL, 'install', ...missing];
    // Everything that apt says belongs with the other messages, not with our result.
    spawnSync(command, args, { stdio: ['ignore', 2, 2] });
    if (missingPrograms().length === 0) return;
  }
  console.error(
    `The tests need these programs: ${names}. Install them with` +
      ` "sudo apt-get install ${names}" or "brew install redis postgresql@17 openssl qemu", and try again.`,
  );
  finish({ passed: 0, failed: 1 }, 1);
}

/** Runs jest; a suite that could not even be loaded counts as one failure. */
function runJest(args) {
  const folder = mkdtempSync(join(tmpdir(), 'berth-jest-'));
  const outputFile = join(folder, 'result.json');
  const nodeOptions = [process.env.NODE_OPTIONS, '--experimental-vm-modules', '--no-warnings'];
  const jest = join(root, 'node_modules/jest/bin/jest.js');
  const { status } = spawnSync(
    process.execPath,
    [jest, ...args, '--json', `--outputFile=${outputFile}`],
    {
      cwd: root,
      stdio: ['inherit', 2, 2],
      env: { ...process.env, NODE_OPTIONS: nodeOptions.filter(Boolean).join(' ') },
    },
  );
  const counts = countsIn(outputFile);
  rmSync(folder, { recursive: true, force: true });
  finish(counts, status ?? 1);
}

function countsIn(outputFile) {
  if (!existsSync(outputFile)) return { passed: 0, failed: 1 };
  const result = JSON.parse(readFileSync(outputFile, 'utf8'));
  return {
    passed: result.numPassedTests,
    failed: result.numFailedTests + result.numRuntimeErrorTestSuites,
  };
}

function finish({ passed, failed }, status) {
  console.log(`tests: ${passed} passed, ${failed} failed`);
  process.exit(status || (failed > 0 ? 1 : 0));
}

requireNode();
requirePrograms();
// System tests start the built program.
if (install() || buildIfOld()) finish({ passed: 0, failed: 1 }, 1);
runJest(process.argv.slice(2));
