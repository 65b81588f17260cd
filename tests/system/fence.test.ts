/** A host dies with its VMs; an operator says so; and then it comes back with them on its disk. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AuditPageBody } from '../../src/wire/audit.js';
import type { HostBody } from '../../src/wire/hosts.js';
import type { VmBody } from '../../src/wire/vms.js';
import { ADMIN_TOKEN, call, Cluster, Program, until } from '../support/cluster.js';
import { freePort } from '../support/free-port.js';

const SMALL = { cpu: 1, memory: 16, disk: 16 };
const TOTALS = { cpu: 8, memory: 8_000, disk: 8_000 };
const PERIOD_S = 1;
const WHY = { reason: 'power is cut' };

describe('a host that is lost', () => {
  let cluster: Cluster;
  beforeEach(async () => {
    cluster = await Cluster.start();
  });
  afterEach(() => cluster.stop());

  it('is fenced by its operator alone; back again, it is told what it lost', async () => {
    const { url } = await cluster.replica({ HEALTH_PERIOD_S: PERIOD_S.toString() });
    const folder = await cluster.folder();
    const oak = new Oak(cluster, url, folder, await freePort());
    oak.start();
    await until('oak up', async () => (await oak.host()).state === 'up');
    const keep = await oak.create({ onHostLoss: 'keep' });
    const restart = await oak.create({ onHostLoss: 'restart' });
    const doomed = await oak.create({});
    const elm = await cluster.host(url, 'elm', TOTALS);

    expect((await call(url, 'POST', '/v1/hosts/oak/fence', WHY)).status).toBe(409);
    await oak.die();
    await until('oak down', async () => (await oak.host()).state === 'down');
    await call(url, 'DELETE', `/v1/vms/${doomed}`);
    // Nobody but an operator can know that it is off.
    await sleep(3 * PERIOD_S * 1_000);
    expect((await vmOf(url, restart)).body).toMatchObject({
      state: 'unknown',
      host: { name: 'oak' },
    });
    const fenced = await call<HostBody>(url, 'POST', '/v1/hosts/oak/fence', WHY);
    expect(fenced).toMatchObject({ status: 200, body: { state: 'down', fence: WHY } });
    expect((await call(url, 'POST', '/v1/hosts/oak/fence', WHY)).body).toEqual(fenced.body);
    await until('one VM on elm', async () => (await vmOf(url, restart)).body.state === 'running');
    expect((await vmOf(url, restart)).body).toMatchObject({ host: { name: 'elm' } });
    expect((await vmOf(url, keep)).body).toMatchObject({
      state: 'unknown',
      host: { name: 'oak' },
      reason: { code: 'host_fenced' },
    });
    expect((await vmOf(url, doomed)).status).toBe(404);

    // It was off: its agent finds another start of the machine than it noted.
    await writeFile(join(oak.agentDir, 'boot'), 'another-start\n');
    expect([await oak.hasOnDisk(restart), await oak.hasOnDisk(doomed)]).toEqual([true, true]);
    const seen = oak.watch([restart, doomed]);
    oak.start();
    await until('oak up again', async () => {
      const { state, fence } = await oak.host();
      return state === 'up' && fence === null;
    });
    await until('the kept VM runs', async () => (await vmOf(url, keep)).body.state === 'running');
    expect((await vmOf(url, keep)).body).toMatchObject({ host: { name: 'oak' }, reason: null });
    expect(Object.keys(await oak.vms())).toEqual([keep]);
    // Neither before it was told nor after.
    expect(await seen.end()).toEqual([]);
    expect([await oak.hasOnDisk(restart), await oak.hasOnDisk(doomed)]).toEqual([false, false]);
    expect((await vmOf(url, restart)).body).toMatchObject({
      state: 'running',
      host: { id: elm.hostId },
    });
    const audit = await call<AuditPageBody>(url, 'GET', '/v1/audit?action=host.unfence');
    expect(audit.body.items).toMatchObject([{ actor: { kind: 'system' }, after: { fence: null } }]);
  }, 300_000);
});

const vmOf = (url: string, id: string) => call<VmBody>(url, 'GET', `/v1/vms/${id}`);

/** The host that dies: a real program, whose VMs are read off its agent. */
class Oak {
  readonly #env: Readonly<Record<string, string>>;
  #program: Program | null = null;

  constructor(
    readonly cluster: Cluster,
    readonly url: string,
    readonly folder: string,
    readonly port: number,
  ) {
    this.#env = {
      BERTH_URL: url,
      BERTH_JOIN_TOKEN: ADMIN_TOKEN,
      BERTH_DATA_DIR: folder,
      AGENT_NAME: 'oak',
      AGENT_PORT: port.toString(),
      HEALTH_PERIOD_S: PERIOD_S.toString(),
    };
  }

  start(): void {
    this.#program = new Program(['agent'], this.#env);
    this.cluster.programs.push(this.#program);
  }

  async die(): Promise<void> {
    await this.#program?.end('SIGKILL');
  }

  async host(): Promise<HostBody> {
    return (await call<HostBody>(this.url, 'GET', '/v1/hosts/oak')).body;
  }

  async create(wish: { readonly onHostLoss?: string }): Promise<string> {
    const body = { resources: SMALL, ...wish };
    const made = await call<VmBody>(this.url, 'POST', '/v1/vms?wait=running', body);
    expect(made.body).toMatchObject({ state: 'running', host: { name: 'oak' } });
    return made.body.id;
  }

  get agentDir(): string {
    return join(this.folder, 'agent');
  }

  /** Whether its agent has the VM, and not only the number under which it had it. */
  async hasOnDisk(id: string): Promise<boolean> {
    const note = await readFile(join(this.agentDir, 'vms', `${id}.json`), 'utf8');
    return (JSON.parse(note) as { readonly vm: unknown }).vm !== null;
  }

  /** States of its VMs, by id. */
  async vms(): Promise<Readonly<Record<string, string>>> {
    const identity = await readFile(join(this.agentDir, 'identity.json'), 'utf8');
    const { credential } = JSON.parse(identity) as { readonly credential: string };
    const response = await fetch(`http://127.0.0.1:${this.port.toString()}/v1/vms`, {
      headers: { authorization: `Bearer ${credential}` },
    });
    const { items } = (await response.json()) as {
      readonly items: readonly { readonly id: string; readonly state: string }[];
    };
    return Object.fromEntries(items.map(({ id, state }) => [id, state]));
  }

  /** Looks at these VMs from now on; in the end it answers which of them ran. */
  watch(ids: readonly string[]): { end(): Promise<readonly string[]> } {
    const ran = new Set<string>();
    const end = new AbortController();
    const watching = (async () => {
      while (!end.signal.aborted) {
        const seen = await this.vms().catch((): Readonly<Record<string, string>> => ({}));
        for (const id of ids) if (RUNNING.includes(seen[id] ?? '')) ran.add(id);
        await sleep(5);
      }
    })();
    return {
      async end() {
        end.abort();
        await watching;
        return [...ran];
      },
    };
  }
}

const RUNNING: readonly string[] = ['creating', 'starting', 'running'];
