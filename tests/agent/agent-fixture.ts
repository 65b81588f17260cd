/** A real agent on a free port with a directory of its own, and a way to call it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAgent, type Agent, type AgentOptions } from '../../src/agent/agent.js';
import { createSimulatedDriver } from '../../src/agent/drivers/simulated.js';
import type { AgentContact } from '../../src/model/ports.js';
import { systemClock } from '../../src/std/clock.js';
import type { DriverPatchBody } from '../../src/wire/agent.js';
import { silentLog } from '../support/log.js';

/** Room for exactly 7 VMs of `SMALL`. */
export const ROOM_FOR_SEVEN = { cpu: 64, memory: 7 * 1024, disk: 102_400 };
export const SMALL = { cpu: 1, memory: 1024, disk: 1024 };

export interface AgentFixture {
  readonly agent: Agent;
  readonly dataDir: string;
  contact(): AgentContact;
  call(method: string, path: string, body?: unknown): Promise<Answer>;
  setDriver(patch: DriverPatchBody): Promise<Answer>;
  /** Stops the agent and starts another on the same directory. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

/** A directory that the test removes. */
export const temporaryDir = (): Promise<string> => mkdtemp(join(tmpdir(), 'berth-agent-'));

export function agentOptions(
  dataDir: string,
  driver: DriverPatchBody,
  changes: Partial<AgentOptions> = {},
): AgentOptions {
  return {
    dataDir,
    bind: '127.0.0.1',
    port: 0,
    name: 'test-host',
    zone: 'zone-a',
    labels: {},
    // Nothing listens there; joining is not what most tests look at.
    controlPlaneUrl: 'http://127.0.0.1:9',
    joinToken: () => Promise.resolve('a-join-token'),
    driver: createSimulatedDriver({ clock: systemClock, given: driver }),
    capacityPolicy: { overcommit: {}, reserve: {} },
    configuredTotals: ROOM_FOR_SEVEN,
    joinBackoff: { baseMs: 10, maxMs: 50 },
    version: '1.2.3',
    log: silentLog,
    clock: systemClock,
    random: Math.random,
    ...changes,
  };
}

export async function startFixture(
  driver: DriverPatchBody = { bootMs: 5, stopMs: 5 },
  changes: Partial<AgentOptions> = {},
): Promise<AgentFixture> {
  const dataDir = await temporaryDir();
  const build = () => createAgent(agentOptions(dataDir, driver, changes));
  let agent = build();
  await agent.start();
  const call = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(`${agent.address}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${agent.credential}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return answerOf(response);
  };
  return {
    get agent() {
      return agent;
    },
    dataDir,
    contact: () => ({
      hostId: agent.hostId,
      address: agent.address,
      ip: null,
      credential: agent.credential,
    }),
    call,
    setDriver: (patch) => call('PATCH', '/v1/driver', patch),
    async restart() {
      await agent.stop();
      agent = build();
      await agent.start();
    },
    async close() {
      await agent.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  return {
    status: response.status,
    contentType: response.headers.get('content-type') ?? '',
    headers: response.headers,
    body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
  };
}

export const order = (assignment: number, resources = SMALL) => ({
  name: 'vm',
  assignment,
  resources,
  image: null,
});

/** Asks until it is so; a test that waits in vain fails by its own time limit. */
export async function until<T>(ask: () => Promise<T>, isSo: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await ask();
    if (isSo(value)) return value;
    await systemClock.sleep(5);
  }
}
