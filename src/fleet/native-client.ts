/**
 * Calls to Berth's own host agents. An agent is not trusted to answer well: every answer is limited
 * in time and size and checked, and what cannot be used counts as no answer (I11). Retrying is left
 * to the callers, who know what they want by then.
 */
import type { Dispatcher } from 'undici';
import type { AgentStatus, AgentVm } from '../model/agent-report.js';
import { DomainError } from '../model/errors.js';
import type { AgentContact, Agents, Log } from '../model/ports.js';
import { errorCode, errorLine } from '../std/error-code.js';
import {
  agentStatusSchema,
  agentVmSchema,
  BOOT_HEADER,
  removalSchema,
  type StopBody,
} from '../wire/agent.js';
import { fleetNetworks, hostIn, PRIVATE_NETWORKS, type FleetNetworks } from './addresses.js';
import { HostConnections, type CallKind } from './connections.js';
import { callOnce } from './one-call.js';
import { refusalOf, saysUnknown } from './refusals.js';

export interface NativeClientOptions {
  readonly log: Log;
  /** For a whole call, from connecting to the last byte. */
  readonly deadlineMs?: number | undefined;
  /** Connections for orders to one host, besides the one that is kept and one for polls. */
  readonly connectionsPerHost?: number | undefined;
  /** Where agents may be, in CIDR notation; the private networks when absent. */
  readonly networks?: readonly string[] | undefined;
}

/** `Agents` over HTTP, with connections of its own. */
export type NativeClient = Agents & { close(): Promise<void> };

const DEADLINE_MS = 4_000;
const CONNECTIONS_PER_HOST = 8;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

interface Call {
  readonly method: Dispatcher.HttpMethod;
  readonly path: string;
  readonly body?: unknown;
}

interface Reply {
  readonly status: number;
  /** Parsed JSON; undefined when it is none. */
  readonly json: unknown;
}

export interface Schema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: Error };
}

export function createAgents(options: NativeClientOptions): NativeClient {
  const { log, deadlineMs = DEADLINE_MS } = options;
  const networks = fleetNetworks(options.networks ?? PRIVATE_NETWORKS);
  const connections = new HostConnections({
    deadlineMs,
    answerBytesMax: ANSWER_BYTES_MAX,
    ordersPerHost: options.connectionsPerHost ?? CONNECTIONS_PER_HOST,
  });

  const send = async (contact: AgentContact, call: Call): Promise<Reply> => {
    const origin = originOf(contact, networks);
    const kind: CallKind = call.path === STATUS_PATH ? 'poll' : 'order';
    const until = performance.now() + deadlineMs;
    const once = () =>
      connections.use(origin, kind, (over) =>
        sendOnce(over, origin, contact, call, until - performance.now()),
      );
    try {
      return await once();
    } catch (cause) {
      // The agent may have closed an idle connection just as it was used. Every call is idempotent.
      if (!isReset(cause)) throw cause;
      return await once();
    }
  };

  /** The answer, if it is one. @throws DomainError for everything else */
  const ask = async <T>(
    contact: AgentContact,
    call: Call,
    schema: Schema<T>,
    isRight: (answer: T) => boolean,
  ): Promise<T> => {
    const reply = await send(contact, call).catch((cause: unknown) => {
      log.debug('an agent did not answer', { hostId: contact.hostId, ...call, body: null, cause });
      throw unreachable(contact, `no answer: ${errorLine(cause)}`, cause);
    });
    if (reply.status >= 400 && reply.status < 500) {
      throw refusalOf(contact, reply.status, reply.json) ?? unusable(contact, reply);
    }
    const parsed = reply.status === 200 ? schema.safeParse(reply.json) : null;
    if (parsed?.success !== true || !isRight(parsed.data)) throw unusable(contact, reply);
    return parsed.data;
  };

  /** As `ask`; null when the agent says that it has no such VM. */
  const askForVm = (contact: AgentContact, vmId: string, verb: 'start' | 'stop', body: StopBody) =>
    ask(
      contact,
      { method: 'POST', path: `${pathOf(vmId)}/${verb}`, body },
      agentVmSchema,
      (vm) => vm.id === vmId && vm.assignment === body.assignment,
    ).catch(nullIfUnknown);

  return {
    resolve: (address) => networks.resolve(address),
    async status(contact): Promise<AgentStatus> {
      const { hostId, version, bootId, report, totals, used, notEnforced, vms } = await ask(
        contact,
        { method: 'GET', path: STATUS_PATH },
        agentStatusSchema,
        (answer) => answer.hostId === contact.hostId,
      );
      return { hostId, version, bootId, report, totals, used, notEnforced, vms };
    },
    ensureVm(contact, { vmId, overrides, users, ...order }): Promise<AgentVm> {
      const { overcommit, reserve, totals } = overrides;
      // An earlier agent takes no field that it does not know.
      const guests = users.length === 0 ? {} : { users };
      const body = { ...order, ...guests, overrides: { overcommit, reserve, totals } };
      return ask(
        contact,
        { method: 'PUT', path: pathOf(vmId), body },
        agentVmSchema,
        (vm) => vm.id === vmId && vm.assignment === order.assignment,
      );
    },
    startVm: (contact, vmId, assignment) => askForVm(contact, vmId, 'start', { assignment }),
    // An earlier agent takes no field that it does not know.
    stopVm: (contact, vmId, assignment, { force = false } = {}) =>
      askForVm(contact, vmId, 'stop', force ? { assignment, force } : { assignment }),
    async removeVm(contact, vmId, assignment): Promise<boolean> {
      const path = `${pathOf(vmId)}?assignment=${assignment.toString()}`;
      const answer = await ask(
        contact,
        { method: 'DELETE', path },
        removalSchema,
        () => true,
      ).catch(nullIfUnknown);
      return answer?.gone ?? true;
    },
    close: () => connections.close(),
  };
}

const STATUS_PATH = '/v1/status';

const pathOf = (vmId: string): string => `/v1/vms/${encodeURIComponent(vmId)}`;

/**
 * The address that was checked when the agent joined, whatever its name stands for by now.
 * @throws Error when calls must not go there (any more)
 */
export function originOf({ address, ip }: AgentContact, networks: FleetNetworks): string {
  const target = ip ?? hostIn(address);
  if (!networks.has(target)) throw new Error(`${target} is not in the networks of the fleet`);
  const url = new URL(address);
  url.hostname = target.includes(':') ? `[${target}]` : target;
  return url.origin;
}

async function sendOnce(
  over: Dispatcher,
  origin: string,
  contact: AgentContact,
  call: Call,
  limitMs: number,
): Promise<Reply> {
  const hasBody = call.body !== undefined;
  // Redirects are not followed: the credential is for this address only.
  const request: Dispatcher.DispatchOptions = {
    origin,
    path: call.path,
    method: call.method,
    headers: {
      // Its own name, for whatever stands before it; TLS checks the certificate against it.
      host: new URL(contact.address).host,
      authorization: `Bearer ${contact.credential}`,
      accept: 'application/json',
      ...(contact.bootId === undefined ? {} : { [BOOT_HEADER]: contact.bootId }),
      ...(hasBody ? { 'content-type': 'application/json' } : {}),
    },
    body: hasBody ? JSON.stringify(call.body) : null,
  };
  const { status, text } = await callOnce(over, request, limitMs);
  return { status, json: parsed(text) };
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const RESET_CODES: readonly (string | undefined)[] = ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'];

const isReset = (cause: unknown): boolean => RESET_CODES.includes(errorCode(cause));

function nullIfUnknown(error: unknown): null {
  if (saysUnknown(error)) return null;
  throw error;
}

const unusable = (contact: AgentContact, reply: Reply): DomainError =>
  unreachable(contact, `no usable answer (status ${reply.status.toString()})`);

export function unreachable(contact: AgentContact, internal: string, cause?: unknown): DomainError {
  return new DomainError(
    'agent_unreachable',
    `The agent of host ${contact.hostId} did not answer as it should.`,
    { internal, cause },
  );
}
