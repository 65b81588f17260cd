/** Which commit runs: what a seed or a case belongs to, since another commit makes another of it. */
import { execFileSync } from 'node:child_process';

/** @returns its short hash; `unknown` outside a repository */
export function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}
