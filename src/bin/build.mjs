/**
 * Builds dist from src: compiles, then copies what the compiler leaves (Lua, SQL, web pages).
 * Plain JavaScript on Node alone, since start.mjs calls it on a fresh machine.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, extname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

const src = join(root, 'src');
const dist = join(root, 'dist');
const stampFile = join(dist, '.built-from');

const ASSETS = new Set(['.lua', '.sql', '.html', '.js', '.css', '.svg', '.json']);

const isAsset = (file) => ASSETS.has(extname(file)) && !file.endsWith('tsconfig.json');

/** Files below a folder, in a fixed order. */
function filesIn(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Changes when anything that the build reads does. */
function fingerprint() {
  const hash = createHash('sha256');
  const inputs = filesIn(src).filter((file) => isAsset(file) || /\.(ts|json)$/.test(file));
  for (const file of [...inputs, join(root, 'tsconfig.json'), join(root, 'package-lock.json')]) {
    hash
      .update(`${relative(root, file)}\0`)
      .update(readFileSync(file))
      .update('\0');
  }
  return hash.digest('hex');
}

export function isBuilt() {
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === fingerprint();
}

/** Answers the compiler's exit code. Until it is 0, the earlier dist stays as it is. */
export function build() {
  // Taken before, so that a file that changes meanwhile makes the next start build again.
  const stamp = fingerprint();
  const making = join(root, `dist.making-${process.pid}`);
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  rmSync(making, { recursive: true, force: true });
  try {
    const { status } = spawnSync(process.execPath, [compiler, '-p', src, '--outDir', making], {
      cwd: root,
      stdio: 'inherit',
    });
    if (status !== 0) return status ?? 1;
    for (const file of filesIn(src).filter(isAsset)) {
      const copy = join(making, relative(src, file));
      mkdirSync(dirname(copy), { recursive: true });
      copyFileSync(file, copy);
    }
    // `npx berth` runs it as a program.
    chmodSync(join(making, 'bin/berth.js'), 0o755);
    writeFileSync(join(making, '.built-from'), stamp);
    rmSync(dist, { recursive: true, force: true });
    renameSync(making, dist);
    return 0;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.exit(build());
