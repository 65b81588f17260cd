/**
 * Runs `ip`, `bridge` and `tc`. They are started with arguments in an array and handed whole batches
 * on their standard input, never through a shell.
 */
import { execFile } from 'node:child_process';
import { errorCode, errorLine } from '../../std/error-code.js';

export type NetworkTool = 'ip' | 'bridge' | 'tc';

/**
 * Runs a tool to its end.
 * @param input what it reads
 * @returns what it printed
 * @throws Error that says in a line what went wrong
 */
export type RunTool = (
  tool: NetworkTool,
  args: readonly string[],
  input?: string,
) => Promise<string>;

/** They only speak with the kernel, which answers in milliseconds, or in a second under load. */
const LIMIT_MS = 20_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Where distributions put them; the path of a service or of an unprivileged user often lacks it. */
const TOOL_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

/** @param inside words before each command: what takes it into another network namespace */
export const toolRunner =
  (inside: readonly string[] = []): RunTool =>
  (tool, args, input = '') =>
    new Promise((resolve, reject) => {
      const [command = tool, ...rest] = [...inside, tool, ...args];
      const child = execFile(
        command,
        rest,
        {
          timeout: LIMIT_MS,
          killSignal: 'SIGKILL',
          maxBuffer: OUTPUT_BYTES_MAX,
          env: { PATH: TOOL_PATH },
        },
        (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else reject(failureOf(tool, args, error, stderr));
        },
      );
      // One that ends before it has read everything is told by its exit code.
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input);
    });

function failureOf(tool: NetworkTool, args: readonly string[], error: Error, stderr: string) {
  if (errorCode(error) === 'ENOENT') {
    return new Error(`${tool} is not installed (package iproute2)`, { cause: error });
  }
  const [first] = stderr.split('\n').filter((line) => line.trim() !== '');
  const why = (first ?? errorLine(error)).replace(/^Error: /, '').trim();
  return new Error(`${[tool, ...args].join(' ')}: ${why}`, { cause: error });
}

/** Has a tool carry out lines, in order, up to the first that fails. */
export async function runBatch(
  run: RunTool,
  tool: NetworkTool,
  lines: readonly string[],
): Promise<void> {
  if (lines.length > 0) await run(tool, ['-batch', '-'], `${lines.join('\n')}\n`);
}
