/**
 * One host's agent, put together: identity, machine, VM store, driver, server, joining. It obeys
 * the control plane and never decides by itself which VM runs here.
 */
import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import type { CapacityPolicy } from '../model/inventory.js';
import { NAME_PATTERN } from '../model/ids.js';
import type { MeasuredTotals } from '../model/agent-report.js';
import type { Clock, Log } from '../model/ports.js';
import { withoutClasses, type Resources } from '../model/resources.js';
import { lockDirectory } from '../std/directory-lock.js';
import type { AgentStatusBody } from '../wire/agent.js';
import { tellable, type JoinHostBody } from '../wire/hosts.js';
import { sumOfHeld } from './claims.js';
import { configuredMachine, realMachine, type Measure, type Measurement } from './discovery.js';
import { readVmUse } from './discovery/vm-use.js';
import type { Driver } from './drivers/driver.js';
import { DEFAULT_HOST_SETTINGS, type HostSettings } from './host-settings.js';
import { checkImageRoom, imageBytesMax } from './image-guard.js';
import type { ImageStore } from './images/image-store.js';
import { isNewBoot, noteBoot } from './last-boot.js';
import { loadIdentity, readBootId, type Identity, type LoadedIdentity } from './identity.js';
import { createJoiner, type BackoffLimits, type Joiner } from './join.js';
import type { Listener } from './listener.js';
import { listenAgain } from './last-port.js';
import { metricsOf, type MetricsText } from './metrics.js';
import { imageRoomOf, resourcesReport } from './resources-report.js';
import { createAgentApp } from './server.js';
import { createShrinkWatch } from './shrink-watch.js';
import { createStatusPusher, type StatusPusher } from './status-pusher.js';
import { VmKeeper } from './vm-keeper.js';
import { ratesOf } from './vm-rates.js';
import type { VmRates } from './vm-parts.js';
import { openVmStore, type VmRecord } from './vm-store.js';

export interface AgentOptions {
  /** Where identity and VM records are kept; no two agents may share one. */
  readonly dataDir: string;
  /** Address to listen on. */
  readonly bind: string;
  /** 0 takes any free port: that of the last start, if it can be had. */
  readonly port: number;
  /** Base URL under which the control plane reaches this agent; from bind and port when absent. */
  readonly advertiseAddress?: string | undefined;
  /** The machine's own name when absent. */
  readonly name?: string | undefined;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Base URL, without a trailing slash. */
  readonly controlPlaneUrl: string;
  /** Asked for at the first join only; null when there is none. */
  readonly joinToken: (name: string) => Promise<string | null>;
  readonly driver: Driver;
  /** What VMs are made from; absent: the driver takes any name of an image. */
  readonly images?: ImageStore | null | undefined;
  readonly capacityPolicy: CapacityPolicy;
  /** What a simulated host pretends to have; the machine is measured when absent. */
  readonly configuredTotals?: Resources | undefined;
  /** What the operator of this host says of it; nothing when absent. */
  readonly settings?: HostSettings | undefined;
  /** Where /proc and /sys are found; that of this machine when absent. */
  readonly root?: string | undefined;
  readonly version?: string | undefined;
  /** What this host cannot hold its VMs to, each a sentence for people. */
  readonly notEnforced?: readonly string[] | undefined;
  /** Joins again after this long without a poll. */
  readonly rejoinAfterMs?: number | undefined;
  readonly joinBackoff?: BackoffLimits | undefined;
  readonly log: Log;
  readonly clock: Clock;
  random(): number;
}

export interface Agent {
  /** Known once started. */
  readonly hostId: string;
  readonly name: string;
  /** Base URL under which the control plane reaches it; known once started. */
  readonly address: string;
  readonly credential: string;
  /** How many of its VMs run, as far as it knows. */
  readonly runningVms: number;
  /** Resolves at the first join that succeeds. */
  readonly joined: Promise<void>;
  /**
   * Takes up its VMs, listens, and begins to join; does not wait for the control plane.
   * @throws Error when another agent uses the directory, or when the port is taken
   */
  start(): Promise<void>;
  /** Finishes what is under way; VMs stay as they are. */
  stop(): Promise<void>;
  /** How fast a VM may be, by what was measured last; for drivers. */
  rates(vm: VmRecord): VmRates;
  /**
   * For stores of images: before one is fetched (0 bytes), and once its size is known.
   * @throws DomainError `image_storage_full`
   */
  checkImageRoom(bytes: number): Promise<void>;
}

/** Three polls of 30 s. */
const REJOIN_AFTER_MS = 90_000;
/** Shorter than the control plane waits for an answer. */
const REMOVAL_WAIT_MS = 2_000;
const STOP_GRACE_MS = 5_000;
const UNRELEASED = 'unreleased';

interface Running {
  readonly identity: Identity;
  readonly address: string;
  readonly keeper: VmKeeper;
  readonly listener: Listener;
  readonly joiner: Joiner;
  readonly pusher: StatusPusher;
  checkImageRoom(bytes: number): Promise<void>;
  /** Gives the directory back. */
  readonly unlock: () => Promise<void>;
}

export function createAgent(options: AgentOptions): Agent {
  const name = options.name ?? hostName(os.hostname());
  let running: Running | null = null;
  let announce = (): void => undefined;
  const joined = new Promise<void>((resolve) => {
    announce = resolve;
  });
  const machine = machineOf(options);
  let latest: MeasuredTotals = {};
  const measure: Measure = async () => {
    const measured = offeredBy(options.driver, await machine());
    latest = measured.totals;
    return measured;
  };
  const started = (): Running => {
    if (running === null) throw new Error('the agent is not running');
    return running;
  };
  return {
    name,
    joined,
    get hostId() {
      return started().identity.hostId;
    },
    get credential() {
      return started().identity.credential;
    },
    get address() {
      return started().address;
    },
    get runningVms() {
      return started()
        .keeper.list()
        .filter(({ state }) => state === 'running').length;
    },
    async start() {
      const unlock = await lockForAgent(options.dataDir);
      try {
        running = { ...(await startAgent(options, name, measure)), unlock };
      } catch (error) {
        await unlock();
        throw error;
      }
      void running.joiner.joined.then(announce);
      running.joiner.start();
      running.pusher.start();
    },
    async stop() {
      if (running === null) return;
      const { joiner, pusher, listener, keeper, unlock } = running;
      running = null;
      try {
        await Promise.all([joiner.stop(), pusher.stop()]);
        await listener.stop(STOP_GRACE_MS);
        await keeper.close();
      } finally {
        await unlock();
      }
    },
    rates: (vm) => ratesOf(vm, latest, settingsOf(options).burst),
    checkImageRoom: (bytes) => started().checkImageRoom(bytes),
  };
}

/** Two agents with one identity would each think that they know every order and every VM. */
async function lockForAgent(dataDir: string): Promise<() => Promise<void>> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  return lockDirectory(
    dataDir,
    (pid) =>
      `another agent is using ${dataDir} (process ${pid.toString()}): stop it, or choose another data directory (BERTH_DATA_DIR)`,
  );
}

async function startAgent(
  options: AgentOptions,
  name: string,
  measure: Measure,
): Promise<Omit<Running, 'unlock'>> {
  const { dataDir, driver, clock, capacityPolicy: policy, version = UNRELEASED } = options;
  const settings = settingsOf(options);
  const { images = null } = options;
  const identity = await loadIdentity(dataDir);
  const { hostId } = identity;
  const log = options.log.child({ host: name, hostId });
  // A machine that cannot be measured must not join: better now than at the first poll.
  await measure();
  const bootId = await readBootId();
  let vmChanged = (): void => undefined;
  const store = await openVmStore(join(dataDir, 'vms'), log, () => {
    vmChanged();
  });
  const keeper = new VmKeeper({
    ...{ store, driver, images, measure, policy, clock, log },
    maxPerVm: settings.maxPerVm,
    removalWaitMs: REMOVAL_WAIT_MS,
  });
  await keeper.open(await isNewBoot(dataDir, bootId));
  await noteBoot(dataDir, bootId);
  const nextReport = reportNumbers(clock);
  const noteShrink = createShrinkWatch(log);
  const status = async (): Promise<AgentStatusBody> => {
    await driver.check();
    const measured = await measure();
    noteShrink(measured.totals);
    // From here on nothing is awaited: a higher number never goes with an older list.
    return {
      ...statusOf(keeper, measured),
      ...identityOf(identity, version, bootId, driver),
      notEnforced: tellable(options.notEnforced ?? []),
      report: nextReport(),
    };
  };
  const pusher = pusherOf(options, log, status, identity.token);
  vmChanged = () => {
    pusher.changed();
  };
  const app = createAgentApp({
    credential: identity.credential,
    bootId,
    keeper,
    driver,
    images,
    log,
    status,
    resources: async () =>
      resourcesReport({ ...booksOf(keeper), ...{ hostId, policy }, measured: await measure() }),
    metrics: async () => metricsText(options, keeper, hostId, await measure()),
    polled: () => {
      joiner.polled();
    },
  });
  const listener = await listenAgain(app, options).catch(async (error: unknown) => {
    await keeper.close();
    throw error;
  });
  const address = options.advertiseAddress ?? addressOf(options.bind, listener.port);
  const joiner = joinerOf(options, log, identity, async () => ({
    id: identity.hostId,
    name,
    address,
    credential: identity.credential,
    token: identity.token,
    zone: options.zone,
    labels: { ...options.labels },
    totals: (await measure()).totals,
    agent: { version, bootId },
  }));
  log.info('the agent listens', { address, vms: keeper.list().length });
  const checkRoom = async (bytes: number): Promise<void> => {
    const input = { ...booksOf(keeper), ...{ policy, measured: await measure() } };
    checkImageRoom(imageRoomOf(input, settings.imageShare), bytes);
  };
  return { identity, address, keeper, listener, joiner, pusher, checkImageRoom: checkRoom };
}

const settingsOf = ({ settings }: AgentOptions): HostSettings => settings ?? DEFAULT_HOST_SETTINGS;

const machineOf = ({ configuredTotals, dataDir, settings, root, log }: AgentOptions): Measure =>
  configuredTotals === undefined
    ? realMachine({
        dataDir,
        settings,
        root,
        warn: (message, details) => log.warn(message, details),
      })
    : configuredMachine(configuredTotals, settings);

/** What of a machine its driver can hand to VMs: the rest is not offered to anybody. */
function offeredBy({ withheld = [] }: Driver, measured: Measurement): Measurement {
  if (withheld.length === 0) return measured;
  const gpu = withheld.includes('gpu') ? null : measured.gpu;
  return { ...measured, totals: withoutClasses(measured.totals, withheld), gpu };
}

const joinerOf = (
  options: AgentOptions,
  log: Log,
  { token, isNew }: LoadedIdentity,
  body: () => Promise<JoinHostBody>,
): Joiner =>
  createJoiner({
    controlPlaneUrl: options.controlPlaneUrl,
    ownToken: token,
    isNew,
    joinToken: options.joinToken,
    rejoinAfterMs: options.rejoinAfterMs ?? REJOIN_AFTER_MS,
    backoff: options.joinBackoff,
    clock: options.clock,
    log,
    random: () => options.random(),
    body,
  });

const identityOf = ({ hostId }: Identity, version: string, bootId: string, driver: Driver) => ({
  hostId,
  version,
  bootId,
  driver: driver.name,
  ...(driver.accelerator === undefined ? {} : { accelerator: driver.accelerator }),
});

function statusOf(keeper: VmKeeper, { totals, used, uptimeS, load }: Measurement) {
  return {
    totals,
    used,
    uptimeS,
    load: [...load] as [number, number, number],
    allocated: sumOfHeld(keeper.held()),
    vms: keeper.list().map((vm) => ({ ...vm })),
  };
}

/**
 * Numbers that grow, over restarts too unless the clock was turned back: then they count again from
 * the next join.
 */
function reportNumbers(clock: Clock): () => number {
  let last = 0;
  return () => {
    last = Math.max(last + 1, Math.floor(clock.now()));
    return last;
  };
}

const pusherOf = (
  options: AgentOptions,
  log: Log,
  status: () => Promise<AgentStatusBody>,
  token: string,
): StatusPusher =>
  createStatusPusher({
    controlPlaneUrl: options.controlPlaneUrl,
    clock: options.clock,
    random: () => options.random(),
    ...{ log, status, token },
  });

/** What counts on this host, as it is now. */
const booksOf = (keeper: VmKeeper) => ({ held: keeper.held(), vms: keeper.records() });

async function metricsText(
  options: AgentOptions,
  keeper: VmKeeper,
  hostId: string,
  measured: Measurement,
): Promise<MetricsText> {
  const { capacityPolicy: policy, driver, root = '/' } = options;
  const { burst, imageShare: share } = settingsOf(options);
  const books = booksOf(keeper);
  const readings = books.vms.map(async (vm) => {
    const process = driver.processOf?.(vm.id) ?? null;
    return {
      id: vm.id,
      rates: ratesOf(vm, measured.totals, burst),
      use: process === null ? null : await readVmUse(root, process),
    };
  });
  return metricsOf({
    report: resourcesReport({ ...books, ...{ hostId, measured, policy } }),
    imageBytesMax: imageBytesMax(imageRoomOf({ ...books, ...{ measured, policy } }, share)),
    vms: await Promise.all(readings),
  });
}

/** A name for this host from that of its machine: what does not belong in one becomes `-`. */
export function hostName(machineName: string): string {
  const cleaned = machineName
    .replaceAll(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 63)
    .replace(/[^A-Za-z0-9]+$/, '');
  return NAME_PATTERN.test(cleaned) ? cleaned : 'host';
}

/** Where others reach a server: one that listens everywhere is reached at a real address. */
function addressOf(bind: string, port: number): string {
  const isEverywhere = bind === '0.0.0.0' || bind === '::';
  const outward = Object.values(os.networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
  const host = isEverywhere ? (outward ?? '127.0.0.1') : bind;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port.toString()}`;
}
