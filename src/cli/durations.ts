/** Lengths of time as people write them: `45s`, `30m`, `2h`, `7d`. */
import { InvalidArgumentError } from 'commander';

const SECONDS_OF_SUFFIX: Readonly<Record<string, number>> = {
  s: 1,
  m: 60,
  h: 60 * 60,
  d: 24 * 60 * 60,
};

/**
 * Whole seconds from `90`, `45s`, `30m`, `2h` or `7d`.
 * @throws InvalidArgumentError with what would be right
 */
export function parseDurationS(text: string): number {
  const [, digits, suffix = 's'] = /^(\d{1,9})([smhd])?$/.exec(text.trim()) ?? [];
  const seconds = Number(digits) * (SECONDS_OF_SUFFIX[suffix] ?? 1);
  if (digits === undefined || seconds < 1) {
    throw new InvalidArgumentError('It must be a time such as 45s, 30m, 2h or 7d.');
  }
  return seconds;
}
