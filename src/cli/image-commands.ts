/** `berth image …`: bring images to hosts, list them, take them away. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { Option, type Command } from 'commander';
import { IMAGE_FORMATS, type ImageFormat } from '../model/images.js';
import { IMAGE_PATTERN } from '../model/ids.js';
import {
  imageListSchema,
  imageOnHostsSchema,
  type ImageListBody,
  type ImageOnHostsBody,
} from '../wire/images.js';
import type { CliContext } from './context.js';
import { CliFailure, EXIT, systemCode } from './failure.js';
import { hostPath } from './host-path.js';
import { printJson, printLine, printTable } from './print.js';
import { examples, jsonOption, runCommand } from './run-command.js';
import { withSpinner } from './spinner.js';

/** An image of many GiB, over a slow line, to many hosts. */
const SEND_TIMEOUT_MS = 6 * 3_600_000;
const MIB = 1024 ** 2;

interface OnHostOption {
  readonly host?: string;
  readonly json?: boolean;
}

interface AddOptions extends OnHostOption {
  readonly name?: string;
  readonly format?: ImageFormat;
}

export function registerImageCommands(program: Command, context: CliContext): void {
  const image = program.command('image').description('the images that VMs are made from');
  image
    .command('add')
    .description('bring an image to all hosts that are up, or to one')
    .argument('<file>', 'a disk that boots, as qcow2 or raw')
    .option('--name <name>', 'name of the image; that of the file when absent')
    .addOption(
      new Option(
        '--format <format>',
        'how it is read; when absent qcow2 if it begins so, raw otherwise',
      ).choices(IMAGE_FORMATS),
    )
    .addOption(hostOption())
    .addOption(jsonOption())
    .addHelpText('after', examples('berth image add debian-12.qcow2'))
    .action((file: string, options: AddOptions) =>
      runCommand(context, async (client) => {
        const name = nameOf(file, options.name);
        const bytes = await sizeOf(file);
        const answer = await withSpinner(context, `Sending ${name}`, () =>
          client.call('PUT', imagePath(name, options.host), imageOnHostsSchema, {
            query: { format: options.format },
            file: { bytes, body: createReadStream(file) },
            timeoutMs: SEND_TIMEOUT_MS,
          }),
        );
        tell(context, answer, options, 'have');
      }),
    );
  image
    .command('list')
    .description('list images, and which host has which')
    .addOption(jsonOption())
    .addHelpText('after', examples('berth image list'))
    .action(({ json }: { readonly json?: boolean }) =>
      runCommand(context, async (client) => {
        const images = await client.call('GET', '/v1/images', imageListSchema);
        if (json === true) printJson(context, images);
        else printImages(context, images);
      }),
    );
  image
    .command('remove')
    .description('take an image from all hosts that are up, or from one')
    .argument('<name>', 'name of the image')
    .addOption(hostOption())
    .addOption(jsonOption())
    .addHelpText('after', examples('berth image remove debian-11 --host host-1'))
    .action((name: string, options: OnHostOption) =>
      runCommand(context, async (client) => {
        const path = imagePath(name, options.host);
        tell(
          context,
          await client.call('DELETE', path, imageOnHostsSchema),
          options,
          'do not have',
        );
      }),
    );
}

const hostOption = (): Option => new Option('--host <host>', 'only this host, by id or name');

const imagePath = (name: string, host: string | undefined): string =>
  `${host === undefined ? '/v1' : hostPath(host)}/images/${encodeURIComponent(name)}`;

/** @throws CliFailure when neither the option nor the file names an image */
function nameOf(file: string, named: string | undefined): string {
  const name = named ?? basename(file, extname(file));
  if (IMAGE_PATTERN.test(name)) return name;
  throw new CliFailure(EXIT.usage, `${name} cannot be the name of an image.`, {
    hint: 'give it one with --name: letters, digits, ".", "_", ":" and "-"',
  });
}

/** @throws CliFailure when it is no file */
async function sizeOf(file: string): Promise<number> {
  const found = await stat(file).catch((cause: unknown) => {
    const code = systemCode(cause) ?? 'no reason given';
    throw new CliFailure(EXIT.usage, `${file} cannot be read (${code}).`, { cause });
  });
  if (found.isFile() && found.size > 0) return found.size;
  throw new CliFailure(EXIT.usage, `${file} is no file with anything in it.`);
}

/** @throws CliFailure when it failed on a host */
function tell(
  context: CliContext,
  answer: ImageOnHostsBody,
  { json }: OnHostOption,
  verb: string,
): void {
  const { name, hosts } = answer;
  const failed = hosts.filter(({ outcome }) => outcome === 'failed');
  if (json === true) printJson(context, answer);
  else {
    const done = hosts.filter(({ outcome }) => outcome === 'done').length;
    printLine(context, `${done.toString()} of ${hosts.length.toString()} hosts ${verb} ${name}.`);
    const others = hosts.filter(({ outcome }) => outcome !== 'done');
    if (others.length > 0) {
      printTable(
        context,
        [{ head: 'HOST', flexible: true }, { head: 'OUTCOME' }, { head: 'WHY', flexible: true }],
        others.map(({ host, outcome, detail }) => [host.name, outcome, detail ?? '']),
      );
    }
  }
  if (failed.length > 0) {
    throw new CliFailure(EXIT.failure, `It failed on ${failed.length.toString()} hosts.`, {
      hint: 'the same command again does what is left to do',
    });
  }
}

function printImages(context: CliContext, { items, unanswered }: ImageListBody): void {
  if (items.length === 0) printLine(context, 'No images.');
  else {
    printTable(
      context,
      [
        { head: 'IMAGE', flexible: true },
        { head: 'HOST', flexible: true },
        { head: 'FORMAT' },
        { head: 'FILE', align: 'right' },
        { head: 'DISK', align: 'right' },
        { head: 'DIGEST' },
      ],
      items.flatMap(({ name, hosts }) =>
        hosts.map(({ host, format, bytes, virtualBytes, digest }) => [
          ...[name, host.name, format, mib(bytes), mib(virtualBytes), digest.slice(0, 12)],
        ]),
      ),
    );
  }
  const names = unanswered.map(({ name }) => name).join(', ');
  if (names !== '') printLine(context, `Did not answer: ${names}`);
}

const mib = (bytes: number): string => `${Math.ceil(bytes / MIB).toString()} MiB`;
