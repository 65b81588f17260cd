/** `berth vm create`: one call that places VMs and, unless told otherwise, waits until they run. */
import type { StrategyName } from '../model/strategies.js';
import type { OnHostLoss, VmUser } from '../model/vm.js';
import {
  createdVmsSchema,
  vmSchema,
  type CreatedVmsBody,
  type CreateVmsBody,
  type VmBody,
} from '../wire/vms.js';
import type { Client } from './client.js';
import type { CliContext } from './context.js';
import { CliFailure, EXIT } from './failure.js';
import { printFacts, printJson, printLine, printTable } from './print.js';
import { requestOf, type RequestOptions } from './request-options.js';
import { withSpinner } from './spinner.js';
import type { Schema } from './understood.js';
import { amounts, reasonLine } from './vm-view.js';

export interface CreateOptions extends RequestOptions {
  readonly name?: string;
  readonly image?: string;
  readonly users?: readonly VmUser[];
  readonly path?: string;
  readonly id?: string;
  /** Names the request; made up when absent. */
  readonly key?: string;
  /** So many alike instead of one. */
  readonly count?: number;
  readonly partial?: boolean;
  readonly onHostLoss?: OnHostLoss;
  readonly strategy?: StrategyName;
  readonly reservation?: string;
  /** Wait for room instead of being refused. */
  readonly queue?: boolean;
  /** Longest wait for room, in seconds. */
  readonly deadline?: number;
  readonly wait: boolean;
  /** Seconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

/** What the answer may take beyond the wait that was asked for. */
const ANSWER_MARGIN_MS = 10_000;

/** @param newKey for a request that was given none: with it one whose answer was lost can be repeated */
export async function createVm(
  client: Client,
  context: CliContext,
  options: CreateOptions,
  newKey: string,
): Promise<void> {
  if (options.count !== undefined) {
    await createAlike(client, context, options, newKey);
    return;
  }
  const vm = await withSpinner(context, 'Creating the VM', () =>
    submit(client, options, vmSchema, newKey),
  );
  if (options.json === true) printJson(context, vm);
  judge(vm, options);
  if (options.json !== true) tell(context, vm);
}

/** @throws CliFailure when some of them were refused or have failed */
async function createAlike(
  client: Client,
  context: CliContext,
  options: CreateOptions,
  newKey: string,
): Promise<void> {
  const created = await withSpinner(context, 'Creating the VMs', () =>
    submit(client, options, createdVmsSchema, newKey),
  );
  if (options.json === true) printJson(context, created);
  else tellAll(context, created);
  for (const item of created.items) if (item.status !== 'refused') judge(item.vm, options);
  if (created.refused > 0) {
    throw new CliFailure(
      EXIT.conflict,
      `${created.refused.toString()} of ${created.items.length.toString()} VMs found no place.`,
    );
  }
}

function bodyOf(options: CreateOptions): CreateVmsBody {
  const { id, name, image, path, queue, deadline, strategy, reservation } = options;
  const { count, partial, onHostLoss, users = [] } = options;
  return {
    ...(id === undefined ? {} : { id }),
    ...(name === undefined ? {} : { name }),
    ...(image === undefined ? {} : { image }),
    ...(users.length === 0 ? {} : { users }),
    ...(path === undefined ? {} : { path }),
    ...requestOf(options),
    ...(onHostLoss === undefined ? {} : { onHostLoss }),
    ...(strategy === undefined ? {} : { strategy }),
    ...(reservation === undefined ? {} : { reservation }),
    ...(queue === true || deadline !== undefined ? { whenFull: 'queue' as const } : {}),
    ...(deadline === undefined ? {} : { deadlineS: deadline }),
    ...(count === undefined ? {} : { count }),
    ...(partial === undefined ? {} : { partial }),
  };
}

async function submit<Body>(
  client: Client,
  options: CreateOptions,
  schema: Schema<Body>,
  newKey: string,
): Promise<Body> {
  const { wait, timeout, key = newKey } = options;
  try {
    return await client.call('POST', '/v1/vms', schema, {
      body: bodyOf(options),
      idempotencyKey: key,
      ...(wait
        ? { query: { wait: 'running', timeout }, timeoutMs: timeout * 1_000 + ANSWER_MARGIN_MS }
        : {}),
    });
  } catch (error) {
    if (!(error instanceof CliFailure) || error.details.unsure !== true) throw error;
    throw new CliFailure(error.exitCode, error.message, {
      ...error.details,
      hint: `it may have been done; the same command with --key ${key} never does it twice`,
    });
  }
}

/** Why a VM has failed when it was for want of room. */
const NO_ROOM: readonly string[] = ['no_feasible_host', 'wait_deadline'];

/** @throws CliFailure when the VM failed, or does not run yet although that was waited for */
function judge(vm: VmBody, { wait, timeout }: CreateOptions): void {
  if (vm.state === 'failed') {
    const noRoom = NO_ROOM.includes(vm.reason?.code ?? '');
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
      {
        hint:
          vm.waitUntil === null
            ? `it is still worked on: \`berth vm show ${vm.id}\``
            : `it waits for room until ${vm.waitUntil}; \`berth vm delete ${vm.id}\` ends that`,
      },
    );
  }
}

function tellAll(context: CliContext, { items, placed }: CreatedVmsBody): void {
  printLine(context, `${placed.toString()} of ${items.length.toString()} VMs have a place.`);
  printTable(
    context,
    [
      { head: '#', align: 'right' },
      { head: 'NAME', flexible: true },
      { head: 'ID' },
      { head: 'STATE' },
      { head: 'HOST', flexible: true },
    ],
    items.map((item) => {
      const number = (item.index + 1).toString();
      if (item.status === 'refused') return [number, item.problem.detail, '', 'refused', ''];
      const { name, id, state, host } = item.vm;
      return [number, name, id, state, host?.name ?? ''];
    }),
  );
}

function tell(context: CliContext, vm: VmBody): void {
  const where =
    vm.host !== null
      ? ` on ${vm.host.name}`
      : vm.waitUntil === null
        ? ''
        : ` for room, until ${vm.waitUntil} at most`;
  printLine(context, `${vm.name} is ${vm.state}${where}.`);
  printFacts(context, [
    ['  id', vm.id],
    ['  resources', amounts(vm.resources)],
  ]);
}
