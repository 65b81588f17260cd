/**
 * Real VMs through the whole of Berth: a replica, an agent with the QEMU driver as a program of its
 * own, and guests of one sector (see test-guest.ts). What is seen is compared with the machine's
 * own list of processes.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { HostBody } from '../../src/wire/hosts.js';
import type { VmBody } from '../../src/wire/vms.js';
import { ADMIN_TOKEN, allVms, call, Cluster, Program, until } from '../support/cluster.js';
import { freePort } from '../support/free-port.js';
import { GUEST_GREETING, politeGuest } from '../support/test-guest.js';

const LIMIT_MS = 900_000;
const WAIT_MS = 120_000;
/** Not that of an agent which this machine may have besides. */
const BRIDGE = `bt${process.pid.toString()}`;
const RESOURCES = { cpu: 1, memory: 32, disk: 16 };

describe('real VMs', () => {
  let cluster: Cluster;
  let url: string;
  let env: Record<string, string>;
  let dataDir: string;
  let interfacesBefore: readonly string[];
  let agent: Program;
  beforeEach(async () => {
    interfacesBefore = interfaces();
    cluster = await Cluster.start();
    ({ url } = await cluster.replica({ HEALTH_PERIOD_S: '1' }));
    dataDir = await cluster.folder();
    env = {
      AGENT_DRIVER: 'qemu',
      AGENT_NETWORK_BRIDGE: BRIDGE,
      AGENT_POWER_OFF_LIMIT_S: '120',
      BERTH_URL: url,
      BERTH_JOIN_TOKEN: ADMIN_TOKEN,
      BERTH_DATA_DIR: dataDir,
      AGENT_NAME: 'real',
      AGENT_PORT: (await freePort()).toString(),
      HEALTH_PERIOD_S: '1',
    };
    agent = await startAgent();
    const stored = await fetch(`${url}/v1/images/polite?format=raw`, {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${ADMIN_TOKEN}`,
        'content-type': 'application/octet-stream',
      },
      body: new Uint8Array(politeGuest()),
    });
    expect(await stored.json()).toMatchObject({ hosts: [{ outcome: 'done' }] });
  }, LIMIT_MS);
  afterEach(async () => {
    for (const program of cluster.programs) await program.end('SIGKILL');
    for (const { pid } of vmProcesses()) process.kill(pid, 'SIGKILL');
    await cluster.stop();
    // Where the agent may not make one there is none.
    await promisify(execFile)('ip', ['link', 'del', BRIDGE]).catch(() => undefined);
  }, LIMIT_MS);

  async function startAgent(): Promise<Program> {
    const program = new Program(['agent'], env);
    cluster.programs.push(program);
    await until(
      'the host up',
      async () => {
        if (!program.running) throw new Error(program.output);
        return (await call<HostBody>(url, 'GET', '/v1/hosts/real')).body.state === 'up';
      },
      WAIT_MS,
    );
    return program;
  }

  /** QEMU processes of this test, as /proc shows them. */
  function vmProcesses(): readonly { readonly pid: number; readonly uuid: string }[] {
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .flatMap((entry) => {
        const words = argumentsOf(entry);
        const uuid = words[words.indexOf('-uuid') + 1] ?? '';
        const isVm = words[0]?.includes('qemu-system') === true && created.has(uuid);
        return isVm ? [{ pid: Number(entry), uuid }] : [];
      });
  }
  const created = new Set<string>();

  async function create(name: string): Promise<VmBody> {
    const { status, body } = await call<VmBody>(url, 'POST', '/v1/vms?wait=running', {
      ...{ name, resources: RESOURCES, image: 'polite' },
    });
    expect([status, body.reason]).toEqual([202, null]);
    created.add(body.id);
    return body;
  }

  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };

  const stateOf = async (id: string) => (await call<VmBody>(url, 'GET', `/v1/vms/${id}`)).body;
  const inState = (id: string, state: string) =>
    until(
      `${id} ${state}`,
      async () => {
        const vm = await stateOf(id);
        return vm.state === state ? vm : null;
      },
      WAIT_MS,
    );

  it(
    'run four at once, outlive their agent, are missed when they die, and leave nothing',
    async () => {
      const host = await call<HostBody>(url, 'GET', '/v1/hosts/real');
      expect(host.body.labels).toEqual({
        driver: 'qemu',
        accelerator: expect.stringMatching(/^(kvm|tcg)$/) as unknown,
      });
      const vms = await Promise.all(['a', 'b', 'c', 'd'].map(create));
      for (const vm of vms) expect(await stateOf(vm.id)).toMatchObject({ state: 'running' });
      const before = vmProcesses();
      expect(new Set(before.map(({ uuid }) => uuid))).toEqual(new Set(vms.map(({ id }) => id)));
      for (const vm of vms) {
        const consoleLog = join(dataDir, 'agent', 'qemu', vm.id, 'console.log');
        await until(
          'the greeting of a guest',
          async () => (await readFile(consoleLog, 'latin1')).includes(GUEST_GREETING),
          WAIT_MS,
        );
      }

      // The agent is killed; its VMs go on, and another one has them.
      await agent.end('SIGKILL');
      expect(vmProcesses()).toEqual(before);
      agent = await startAgent();
      for (const vm of vms) await inState(vm.id, 'running');
      expect(vmProcesses()).toEqual(before);

      // A process is killed: it is told of at once, and started again, for it is to run.
      const [victim, off] = vms as [VmBody, VmBody];
      const pidOf = (vm: VmBody) => vmProcesses().find(({ uuid }) => uuid === vm.id)?.pid;
      const killed = pidOf(victim);
      process.kill(killed ?? 0, 'SIGKILL');
      await until(
        'another process of it',
        () => Promise.resolve(![undefined, killed].includes(pidOf(victim))),
        WAIT_MS,
      );
      const events = `${url}/v1/events?since=start&follow=false`;
      const isTold = async () =>
        (await (await fetch(events, { headers })).text()).includes('vm_died');
      await until('the event of its death', isTold, WAIT_MS);
      await inState(victim.id, 'running');

      // Off by ACPI: well within a limit after which it would have been ended.
      await call(url, 'POST', `/v1/vms/${off.id}/stop`);
      expect((await inState(off.id, 'stopped')).reason).toBeNull();

      for (const vm of vms) await call(url, 'DELETE', `/v1/vms/${vm.id}`);
      await until('all deleted', async () => (await allVms(url)).length === 0, WAIT_MS);
      expect(vmProcesses()).toEqual([]);
      const left = await readdir(join(dataDir, 'agent', 'qemu'));
      expect(left).toEqual(['accelerator.json']);
      expect(await readdir(join(dataDir, 'agent', 'disks'))).toEqual([]);
      const made = interfaces().filter((name) => !interfacesBefore.includes(name));
      expect(made.filter((name) => name !== BRIDGE && !name.startsWith('vmup-'))).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'boot the demo image, say on their console who they are, and power off when asked to',
    async () => {
      const images = async () =>
        (await call<{ items: { name: string }[] }>(url, 'GET', '/v1/images')).body.items;
      await until(
        'the demo image',
        async () => (await images()).some(({ name }) => name === 'demo'),
        WAIT_MS,
      );
      const { body: vm } = await call<VmBody>(url, 'POST', '/v1/vms?wait=running', {
        ...{ name: 'web-1', image: 'demo', resources: { cpu: 2, memory: 128, disk: 64 } },
      });
      created.add(vm.id);
      const said = async () => (await fetch(`${url}/v1/vms/${vm.id}/logs`, { headers })).text();
      await until(
        'its console',
        async () => (await said()).includes('guest web-1: ready'),
        WAIT_MS,
      );
      expect(await said()).toMatch(/berth guest web-1: cpus=2 memoryMib=\d+ diskMib=64/);
      await call(url, 'POST', `/v1/vms/${vm.id}/stop`);
      expect((await inState(vm.id, 'stopped')).reason).toBeNull();
      expect(await said()).toContain('guest web-1: power off');
      await call(url, 'DELETE', `/v1/vms/${vm.id}`);
      await until('it deleted', async () => (await allVms(url)).length === 0, WAIT_MS);
      expect(vmProcesses()).toEqual([]);
      expect(await readdir(join(dataDir, 'agent', 'disks'))).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'fail with a reason that names the image when no host has it',
    async () => {
      const { body } = await call<VmBody>(url, 'POST', '/v1/vms?wait=running', {
        ...{ name: 'imageless', resources: RESOURCES, image: 'no-such-image' },
      });
      const vm = await inState(body.id, 'failed');
      expect(vm.reason?.detail).toContain('no-such-image');
    },
    LIMIT_MS,
  );
});

const interfaces = (): readonly string[] => readdirSync('/sys/class/net');

function argumentsOf(entry: string): readonly string[] {
  try {
    return readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
