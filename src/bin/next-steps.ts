/** What `berth up` prints when everything runs: where things are, and four commands to try. */
import { relative } from 'node:path';

export interface Running {
  readonly url: string;
  readonly hosts: number;
  readonly tokenFile: string;
  readonly redis: string;
  readonly catalogue: string;
  readonly driver: string;
}

const DEFAULT_URL = 'http://127.0.0.1:8080';
const DEFAULT_TOKEN_FILE = '.berth/admin.token';

export function nextSteps({ url, hosts, redis, catalogue, driver, ...running }: Running): string {
  const beside = relative(process.cwd(), running.tokenFile);
  const tokenFile = beside.startsWith('..') ? running.tokenFile : beside;
  const token = `$(cat ${quoted(tokenFile)})`;
  // The command line finds the defaults by itself; anything else it must be told.
  const prefix =
    (url === DEFAULT_URL ? '' : `BERTH_URL=${url} `) +
    (tokenFile === DEFAULT_TOKEN_FILE ? '' : `BERTH_TOKEN="${token}" `);
  return `
Berth is up at ${url} with ${hosts.toString()} host${hosts === 1 ? '' : 's'}.
  ledger     ${redis}
  catalogue  ${catalogue}
  agent      ${driver}
  API        ${url}/docs  (any user name; the password is in ${tokenFile})

Try next, in another terminal:

  ${prefix}npx berth vm create --name first --cpu 1 --memory 256MiB --disk 1GiB
  ${prefix}npx berth place --cpu 1 --memory 256MiB --disk 1GiB
  curl -s ${url}/v1/hosts -H "Authorization: Bearer ${token}"
  ${prefix}npx berth vm delete first

Ctrl-C stops everything in order.
`;
}

const quoted = (path: string): string => (/^[\w./-]+$/.test(path) ? path : `'${path}'`);
