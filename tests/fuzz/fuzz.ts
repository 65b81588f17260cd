/**
 * A real control plane, with real stores and simulated hosts, under fuzzed requests; and an agent's
 * own server. Says what was wrong with answers, whether it lives, and whether the books are right.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { prngOf } from '../../src/std/prng.js';
import type { VerifyBody } from '../../src/wire/verify.js';
import { startFixture, type AgentFixture } from '../agent/agent-fixture.js';
import { ADMIN_TOKEN, call, Cluster, until, type Program } from '../support/cluster.js';
import { connections, fire, fireBytes } from './fire.js';
import { faultOf, faultOfApi, faultOfBytes } from './judge.js';
import { garbage, requestFor, type Target } from './requests.js';
import { AGENT_TARGETS, targetsOfApi } from './targets.js';

export interface FuzzOptions {
  readonly requests: number;
  readonly seed: string;
  readonly onProgress?: (done: number) => void;
}

export interface FuzzReport {
  readonly requests: number;
  readonly seconds: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** What was wrong, with the request; a few of them. */
  readonly faults: readonly string[];
  readonly faultCount: number;
  /** Of the control plane, in ten samples from begin to end: what is in use once garbage is gone. */
  readonly usedMiB: readonly number[];
  /** And what is resident, with garbage that nobody has asked to be collected. */
  readonly rssMiB: readonly number[];
  readonly findings: VerifyBody['findings'];
  readonly alive: boolean;
}

const WORKERS = 24;
const HOSTS = 3;
const SPARE_HOSTS = ['spare-1', 'spare-2', 'spare-3'];
const FAULTS_KEPT = 20;

/** Of all requests: over bare connections, and to the server of an agent. */
const GARBAGE_SHARE = 0.04;
const AGENT_SHARE = 0.1;

/** What is under way when the last request is answered is over by then. */
const SETTLE_MS = 3_000;

/** Starts everything, fuzzes it, and stops it. */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const cluster = await Cluster.start();
  // One that is in no fleet: what it is told to run would be nobody's there.
  const lone = await startFixture();
  try {
    const replica = await cluster.replica({
      LOG_LEVEL: 'error',
      // Enough wrong tokens are sent to lock out this machine; that is tested elsewhere.
      API_FAILED_AUTH_PER_MINUTE: '1000000',
      NODE_OPTIONS: `--import ${import.meta.resolve('./collect.mjs')}`,
    });
    for (let host = 0; host < HOSTS; host += 1) {
      const totals = { cpu: 256, memory: 65_536, disk: 65_536 };
      await cluster.host(replica.url, `host-${host.toString()}`, totals);
    }
    return await fuzzCluster(cluster, replica, lone, options);
  } finally {
    await lone.close();
    await cluster.stop();
  }
}

async function fuzzCluster(
  cluster: Cluster,
  replica: Awaited<ReturnType<Cluster['replica']>>,
  { agent }: AgentFixture,
  { requests, seed, onProgress }: FuzzOptions,
): Promise<FuzzReport> {
  // The others stay open for VMs, whatever becomes of this one.
  const hosts = cluster.hosts.slice(0, 1).map(({ hostId }) => hostId);
  const api = targetsOfApi({ hosts, spareHosts: SPARE_HOSTS });
  const pid = replica.program.process.pid ?? 0;
  const tally = new Tally();
  const rssMiB: number[] = [];
  const usedMiB: number[] = [];
  const started = Date.now();
  let begun = 0;
  const worker = async (): Promise<void> => {
    const http = connections();
    while (begun < requests && replica.program.running) {
      const number = (begun += 1);
      if (number % Math.ceil(requests / 10) === 0) {
        rssMiB.push(await residentMiB(pid));
        usedMiB.push(await inUseMiB(replica.program));
        onProgress?.(number);
      }
      await shoot(number);
    }
    http.destroy();

    async function shoot(number: number): Promise<void> {
      // A generator for each request: one of them can be repeated by itself.
      const prng = prngOf(`${seed}/${number.toString()}`);
      const kind = prng.next();
      if (kind < GARBAGE_SHARE) {
        const parts = garbage(prng, ADMIN_TOKEN);
        const text = await fireBytes(replica.port, parts);
        tally.note(number, 'bytes', faultOfBytes(text), parts[0]?.toString('latin1') ?? '');
        return;
      }
      const toAgent = kind < GARBAGE_SHARE + AGENT_SHARE;
      const targets: readonly Target[] = toAgent ? AGENT_TARGETS : api;
      const bearer = toAgent ? agent.credential : ADMIN_TOKEN;
      const sent = requestFor(prng, targets, bearer);
      const port = toAgent ? Number(new URL(agent.address).port) : replica.port;
      const told = `${sent.method} ${sent.path} ${(sent.body ?? '').toString().slice(0, 400)}`;
      try {
        const shot = await fire(port, http, sent);
        if (shot === null) tally.note(number, 'unsent', null, '');
        else {
          const fault = toAgent ? faultOf(sent, shot) : faultOfApi(sent, shot);
          tally.note(
            number,
            shot.status.toString(),
            fault,
            `${told}\n  ${shot.text.slice(0, 300)}`,
          );
        }
      } catch (error) {
        tally.note(number, 'silent', String(error), told);
      }
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  const seconds = (Date.now() - started) / 1_000;
  await sleep(SETTLE_MS);
  const alive = replica.program.running && (await fetch(`${replica.url}/healthz`)).ok;
  if (!alive) tally.note(0, 'ended', 'it lives no more', replica.program.output.slice(-3_000));
  const findings = alive ? await findingsOf(replica.url) : [];
  const logged = replica.program.output.match(/"message":"(?:request broke|[^"]*broke)"[^\n]*/g);
  for (const line of logged ?? []) tally.note(0, 'logged', 'an error was logged', line);
  return { requests, seconds, ...tally.told(), usedMiB, rssMiB, findings, alive };
}

/** A rebuild, an upkeep or a repair may be under way: what stands after a while is wrong. */
async function findingsOf(url: string): Promise<VerifyBody['findings']> {
  const look = async () => (await call<VerifyBody>(url, 'GET', '/v1/ops/verify')).body;
  let last = await look();
  for (let looks = 0; last.findings.length > 0 && looks < 5; looks += 1) {
    await sleep(SETTLE_MS);
    last = await until('a verification', look);
  }
  return last.findings;
}

const IN_USE = /bytes in use: (\d+)\n/g;

/** Asks collect.mjs in the program. */
async function inUseMiB(program: Program): Promise<number> {
  const told = () => [...program.output.matchAll(IN_USE)];
  const before = told().length;
  program.process.kill('SIGUSR2');
  const answer = await until('a collection', () => Promise.resolve(told()[before]?.[1]));
  return Math.round(Number(answer) / 1_048_576);
}

async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid.toString()}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1_024);
}

class Tally {
  readonly #statuses = new Map<string, number>();
  readonly #faults: string[] = [];
  #faultCount = 0;

  note(number: number, status: string, fault: string | null, told: string): void {
    this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1);
    if (fault === null) return;
    this.#faultCount += 1;
    if (this.#faults.length < FAULTS_KEPT) {
      this.#faults.push(`request ${number.toString()}: ${fault}\n  ${told}`);
    }
  }

  told(): Pick<FuzzReport, 'statuses' | 'faults' | 'faultCount'> {
    const statuses = Object.fromEntries([...this.#statuses].sort());
    return { statuses, faults: this.#faults, faultCount: this.#faultCount };
  }
}
