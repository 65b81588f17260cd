/** `berth token …`: create, list, revoke. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { TOKEN_ROLES } from '../model/token.js';
import {
  newTokenSchema,
  tokenPageSchema,
  tokenSchema,
  type CreateTokenBody,
  type TokenBody,
} from '../wire/tokens.js';
import { parseCount } from './amounts.js';
import type { Client } from './client.js';
import type { CliContext } from './context.js';
import { parseDurationS } from './durations.js';
import { CliFailure, EXIT } from './failure.js';
import { gather } from './pages.js';
import { plain, printJson, printLine, printTable, type Column } from './print.js';
import { examples, jsonOption, runCommand } from './run-command.js';

export function registerTokenCommands(program: Command, context: CliContext): void {
  const token = program.command('token').description('create, list and revoke tokens');
  registerCreate(token, context);
  registerList(token, context);
  registerRevoke(token, context);
}

interface Options {
  readonly json?: boolean;
}

interface CreateOptions extends Options {
  readonly role: CreateTokenBody['role'];
  readonly name: string;
  readonly path?: string;
  readonly expires?: number;
}

function registerCreate(token: Command, context: CliContext): void {
  token
    .command('create')
    .description('make a token and print it; it is shown this once')
    .addOption(
      new Option('--role <role>', 'what it allows').choices(TOKEN_ROLES).makeOptionMandatory(),
    )
    .requiredOption('--name <name>', 'for whom or what it is')
    .option('--path <tenant:project>', 'what a tenant sees and changes; for tenants only')
    .option('--expires <time>', 'when it ends, such as 30m, 12h or 90d from now', parseDurationS)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'berth token create --role tenant --path acme --name acme-console --expires 90d',
        'BERTH_JOIN_TOKEN=$(berth token create --role join --name host-7) berth agent',
      ),
    )
    .action(({ json, role, name, path, expires }: CreateOptions) =>
      runCommand(context, async (client) => {
        const body: CreateTokenBody = {
          ...{ role, name },
          ...(path === undefined ? {} : { path }),
          ...(expires === undefined ? {} : { expiresInS: expires }),
        };
        const made = await client.call('POST', '/v1/tokens', newTokenSchema, { body });
        if (json === true) {
          printJson(context, made);
          return;
        }
        // Alone on its stream, so that a script can take it as it is.
        printLine(context, made.token);
        context.stderr.write(`${plain(sentenceOf(made))}\n`);
      }),
    );
}

const sentenceOf = ({ id, name, role, path, expiresAt }: TokenBody): string =>
  [
    `The ${role} token ${name}${path === null ? '' : ` of ${path}`} is shown this once. `,
    expiresAt === null ? 'It does not expire. ' : `It expires at ${expiresAt}. `,
    `To end it: berth token revoke ${id}`,
  ].join('');

const COLUMNS: readonly Column[] = [
  { head: 'ID' },
  { head: 'BEGINS' },
  { head: 'ROLE' },
  { head: 'NAME', flexible: true },
  { head: 'PATH', flexible: true },
  { head: 'STATE', flexible: true },
];

function registerList(token: Command, context: CliContext): void {
  token
    .command('list')
    .description('list tokens by how they begin; the tokens themselves are kept nowhere')
    .option('--limit <count>', 'at most so many; all when absent', parseCount)
    .addOption(jsonOption())
    .addHelpText('after', examples('berth token list'))
    .action(({ json, limit }: Options & { readonly limit?: number }) =>
      runCommand(context, async (client) => {
        const page = await gather(client, '/v1/tokens', tokenPageSchema, {}, limit);
        if (json === true) {
          printJson(context, page);
          return;
        }
        if (page.items.length === 0) {
          printLine(context, 'No tokens yet, besides the one that the control plane was given.');
          return;
        }
        printTable(context, COLUMNS, page.items.map(cellsOf));
        if (page.nextCursor !== null) printLine(context, '… and more; raise --limit to see them');
      }),
    );
}

const cellsOf = (token: TokenBody): readonly string[] => [
  token.id,
  token.prefix,
  token.role,
  token.name,
  token.path ?? '',
  stateOf(token),
];

function stateOf({ revokedAt, usedBy, expiresAt }: TokenBody): string {
  if (revokedAt !== null) return `revoked ${revokedAt}`;
  if (usedBy !== null) return `used by ${usedBy}`;
  if (expiresAt === null) return 'valid';
  return `${Date.parse(expiresAt) <= Date.now() ? 'expired' : 'until'} ${expiresAt}`;
}

function registerRevoke(token: Command, context: CliContext): void {
  token
    .command('revoke')
    .description('end a token at once')
    .argument('<token>', 'its id, or how it begins', tokenArgument)
    .addOption(jsonOption())
    .addHelpText('after', examples('berth token revoke berth_q3Fz9'))
    .action((shown: string, { json }: Options) =>
      runCommand(context, async (client) => {
        const id = await idOf(client, shown);
        const path = `/v1/tokens/${encodeURIComponent(id)}`;
        const revoked = await client.call('DELETE', path, tokenSchema);
        if (json === true) printJson(context, revoked);
        else
          printLine(context, `The ${revoked.role} token ${revoked.name} opens nothing any more.`);
      }),
    );
}

function tokenArgument(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)) return text;
  throw new InvalidArgumentError('It can be neither the id nor the beginning of a token.');
}

const BEGINNING = 'berth_';

/** Whoever lost a token may still have the whole of it at hand, or only its beginning. */
async function idOf(client: Client, shown: string): Promise<string> {
  if (!shown.startsWith(BEGINNING)) return shown;
  const { items } = await gather(client, '/v1/tokens', tokenPageSchema);
  const found = items.filter(({ prefix }) => shown.startsWith(prefix));
  const [only, another] = found;
  if (only !== undefined && another === undefined) return only.id;
  throw new CliFailure(
    only === undefined ? EXIT.notFound : EXIT.usage,
    only === undefined ? 'No token begins so.' : 'Several tokens begin so.',
    { hint: 'berth token list shows their ids' },
  );
}
