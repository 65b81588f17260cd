/** From a problem document to what a person at a terminal is told. */
import type { ProblemBody } from '../wire/problem.js';
import { placementSchema, type PlacementBody } from '../wire/placements.js';
import { CliFailure, EXIT, type ExitCode } from './failure.js';
import { missingLine, reasonCounts } from './place-view.js';
import { understood } from './understood.js';

export interface Circumstances {
  readonly retryAfterS: string | undefined;
  /** Where a token is looked for when BERTH_TOKEN is not set. */
  readonly tokenSource: string;
  /** Whether a token was shown. */
  readonly hasToken: boolean;
}

/** The failure that a problem document tells of. */
export function failureOf(problem: ProblemBody, circumstances: Circumstances): CliFailure {
  return new CliFailure(exitCodeOf(problem.status), problem.detail, {
    code: problem.code,
    errors: problem.errors,
    lines: [...placeLines(problem), ...summaryLines(problem.summary)],
    hint: hintOf(problem, circumstances),
    requestId: problem.requestId,
  });
}

const USAGE_STATUS = [400, 413, 415, 422];

function exitCodeOf(status: number): ExitCode {
  if (USAGE_STATUS.includes(status)) return EXIT.usage;
  if (status === 404) return EXIT.notFound;
  if (status === 409) return EXIT.conflict;
  return EXIT.failure;
}

function hintOf(problem: ProblemBody, circumstances: Circumstances): string | undefined {
  const { retryAfterS, tokenSource, hasToken } = circumstances;
  switch (problem.code) {
    case 'unauthenticated':
      return hasToken
        ? `the control plane knows another token: set BERTH_TOKEN (without it, ${tokenSource} is read)`
        : `set BERTH_TOKEN; without it, ${tokenSource} is read for a control plane on this machine`;
    case 'no_feasible_host':
      return '`berth place` with the same options shows why, host by host';
    default:
      return retryAfterS === undefined ? undefined : `try again in ${retryAfterS} s`;
  }
}

/** Which one of many found no host. */
const placeLines = ({ code, index }: ProblemBody): readonly string[] =>
  code === 'no_feasible_host' && typeof index === 'number'
    ? [`number ${(index + 1).toString()} of them finds none, so none was made.`]
    : [];

/** What `no_feasible_host` adds: counts per reason and the nearest host. */
function summaryLines(summary: unknown): readonly string[] {
  if (!understood<PlacementBody['summary']>(placementSchema.shape.summary, summary)) return [];
  return [...reasonCounts(summary), ...missingLine(summary)];
}
