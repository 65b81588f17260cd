/** Runs a program to its end: no shell, a fixed environment, limits in time and output. */
import { execFile } from 'node:child_process';
import { errorCode } from '../../std/error-code.js';

export interface ProgramOptions {
  /** Where it works; the agent's own directory when absent. */
  readonly cwd?: string;
  /** What it finds in its environment besides a usual PATH and plain English messages. */
  readonly env?: Readonly<Record<string, string>>;
  /** It is killed after this long. */
  readonly limitMs?: number;
  /** Most processor time, in seconds, and most memory, in bytes, for what reads strangers' files. */
  readonly held?: { readonly cpuS: number; readonly memoryBytes: number };
}

/** What it printed. */
export interface Printed {
  readonly stdout: Buffer;
}

/** A program that ended badly, was killed, or is not there. */
export class ProgramError extends Error {
  override readonly name = 'ProgramError';
  readonly program: string;
  readonly isMissing: boolean;

  constructor(program: string, message: string, isMissing: boolean, cause: unknown) {
    super(message, { cause });
    this.program = program;
    this.isMissing = isMissing;
  }
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const LIMIT_MS = 60_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const TOLD_LENGTH_MAX = 500;

/** @throws ProgramError when it ends with anything but 0 */
export function runProgram(
  program: string,
  args: readonly string[],
  { cwd, env, limitMs = LIMIT_MS, held }: ProgramOptions = {},
): Promise<Printed> {
  const [file, ...words] = held === undefined ? [program, ...args] : heldBy(held, program, args);
  return new Promise((resolve, reject) => {
    execFile(
      file,
      words,
      {
        ...(cwd === undefined ? {} : { cwd }),
        env: { PATH, LC_ALL: 'C', ...env },
        timeout: limitMs,
        killSignal: 'SIGKILL',
        maxBuffer: OUTPUT_BYTES_MAX,
        encoding: 'buffer',
      },
      (error, stdout, stderr) => {
        if (error === null) resolve({ stdout });
        else reject(failureOf(program, error, stderr));
      },
    ).stdin?.end();
  });
}

/** prlimit hands its limits on to what it then becomes; nothing is written by such a program. */
const heldBy = (
  { cpuS, memoryBytes }: NonNullable<ProgramOptions['held']>,
  program: string,
  args: readonly string[],
): [string, ...string[]] => [
  'prlimit',
  `--as=${memoryBytes.toString()}`,
  `--cpu=${cpuS.toString()}`,
  '--nofile=64',
  '--fsize=0',
  '--core=0',
  '--',
  program,
  ...args,
];

function failureOf(program: string, error: Error, stderr: Buffer): ProgramError {
  const isMissing = errorCode(error) === 'ENOENT';
  const said = stderr.toString('utf8').trim().slice(0, TOLD_LENGTH_MAX);
  const why = isMissing ? 'is not installed' : `failed: ${said === '' ? error.message : said}`;
  return new ProgramError(program, `${program} ${why}`, isMissing, error);
}
