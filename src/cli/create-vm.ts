/** `berth vm create`: one call that places the VM and, unless told otherwise, waits until it runs. */
import { vmSchema, type CreateVmBody, type VmBody } from '../wire/vms.js';
import type { Client } from './client.js';
import type { CliContext } from './context.js';
import { CliFailure, EXIT } from './failure.js';
import { printFacts, printJson, printLine } from './print.js';
import { requestOf, type RequestOptions } from './request-options.js';
import { withSpinner } from './spinner.js';
import { amounts, reasonLine } from './vm-view.js';

export interface CreateOptions extends RequestOptions {
  readonly name?: string;
  readonly image?: string;
  readonly path?: string;
  readonly id?: string;
  readonly wait: boolean;
  /** Seconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

/** What the answer may take beyond the wait that was asked for. */
const ANSWER_MARGIN_MS = 10_000;

/** @param newId for a VM whose creator gave none: with it a create whose answer was lost can be repeated */
export async function createVm(
  client: Client,
  context: CliContext,
  options: CreateOptions,
  newId: string,
): Promise<void> {
  const id = options.id ?? newId;
  const vm = await withSpinner(context, 'Creating the VM', () =>
    submit(client, options, { ...bodyOf(options), id }),
  );
  if (options.json === true) printJson(context, vm);
  judge(vm, options);
  if (options.json !== true) tell(context, vm);
}

function bodyOf(options: CreateOptions): CreateVmBody {
  const { name, image, path } = options;
  return {
    ...(name === undefined ? {} : { name }),
    ...(image === undefined ? {} : { image }),
    ...(path === undefined ? {} : { path }),
    ...requestOf(options),
  };
}

async function submit(
  client: Client,
  { wait, timeout }: CreateOptions,
  body: CreateVmBody & { readonly id: string },
): Promise<VmBody> {
  try {
    return await client.call('POST', '/v1/vms', vmSchema, {
      body,
      ...(wait
        ? { query: { wait: 'running', timeout }, timeoutMs: timeout * 1_000 + ANSWER_MARGIN_MS }
        : {}),
    });
  } catch (error) {
    if (!(error instanceof CliFailure) || error.details.unsure !== true) throw error;
    throw new CliFailure(error.exitCode, error.message, {
      ...error.details,
      hint: `it may have been created; the same command with --id ${body.id} never makes a second one`,
    });
  }
}

/** @throws CliFailure when the VM failed, or does not run yet although that was waited for */
function judge(vm: VmBody, { wait, timeout }: CreateOptions): void {
  if (vm.state === 'failed') {
    const noRoom = vm.reason?.code === 'no_feasible_host';
    throw new CliFailure(
      noRoom ? EXIT.conflict : EXIT.failure,
      `${vm.name} failed: ${reasonLine(vm) ?? 'no reason is known'}`,
      {
        lines: vm.attempts.map(
          ({ host, outcome, detail }) =>
            `${host.name}: ${outcome}${detail === null ? '' : `, ${detail}`}`,
        ),
        hint: `\`berth vm delete ${vm.id}\` clears it away`,
      },
    );
  }
  if (wait && vm.state !== 'running') {
    throw new CliFailure(
      EXIT.failure,
      `${vm.name} does not run after ${timeout.toString()} s; it is ${vm.state}.`,
      { hint: `it is still worked on: \`berth vm show ${vm.id}\`` },
    );
  }
}

function tell(context: CliContext, vm: VmBody): void {
  const where = vm.host === null ? '' : ` on ${vm.host.name}`;
  printLine(context, `${vm.name} is ${vm.state}${where}.`);
  printFacts(context, [
    ['  id', vm.id],
    ['  resources', amounts(vm.resources)],
  ]);
}
