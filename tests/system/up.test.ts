/** `berth up` on a bare machine: it comes up, what it prints works, and a second start finds all. */
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { VmBody } from '../../src/wire/vms.js';
import { ADMIN_TOKEN, allVms, call, Cluster, Program, until } from '../support/cluster.js';
import { freePort } from '../support/free-port.js';

const run = promisify(execFile);

describe('berth up', () => {
  let cluster: Cluster;
  let env: Record<string, string>;
  let url: string;
  beforeEach(async () => {
    cluster = await Cluster.start();
    const port = (await freePort()).toString();
    url = `http://127.0.0.1:${port}`;
    // Neither REDIS_URL nor DATABASE_URL: it must fill both in.
    env = { PORT: port, BERTH_DATA_DIR: await cluster.folder(), HEALTH_PERIOD_S: '1' };
  });
  afterEach(async () => {
    // In order, so that each takes its private Redis along.
    for (const program of cluster.programs) await program.end('SIGTERM');
    await cluster.stop();
  });

  async function up(more: Readonly<Record<string, string>> = {}, ...args: string[]) {
    const program = new Program(['up', ...args], { ...env, ...more });
    cluster.programs.push(program);
    await until(
      'berth up',
      () => {
        if (!program.running) throw new Error(program.output);
        return Promise.resolve(program.output.includes('Try next'));
      },
      150_000,
    );
    return program;
  }

  it('prints four commands that work, keeps its token to itself, and lets no second one in', async () => {
    const program = await up();
    const commands = program.output
      .split('\n')
      .filter((line) => /^ {2}\S/.test(line) && /npx berth|curl/.test(line));
    expect(commands).toHaveLength(4);
    const outputs: string[] = [];
    for (const command of commands) {
      const { stdout } = await run('sh', ['-c', command], {
        env: { PATH: process.env.PATH, HOME: process.env.HOME },
      });
      outputs.push(stdout);
    }
    expect(outputs[0]).toContain('running');
    expect(outputs[1]).toMatch(/\d\.\d+/);
    expect(JSON.parse(outputs[2] ?? '')).toMatchObject({ items: [{ state: 'up', vms: 1 }] });
    const tokenFile = join(env.BERTH_DATA_DIR ?? '', 'admin.token');
    expect((await stat(tokenFile)).mode & 0o777).toBe(0o600);
    expect(program.output).not.toContain((await readFile(tokenFile, 'utf8')).trim());

    const second = new Program(['up'], { ...env, PORT: (await freePort()).toString() });
    cluster.programs.push(second);
    await until('its end', () => Promise.resolve(!second.running));
    expect(second.process.exitCode).toBe(1);
    expect(second.output).toMatch(/in use|another|already/i);
    expect(second.output).not.toMatch(/\n\s+at /);
    expect(await program.end('SIGINT')).toBe(0);
  }, 300_000);

  it('finds everything again after Ctrl-C and after kill -9, simulated hosts too', async () => {
    const token = { BERTH_ADMIN_TOKEN: ADMIN_TOKEN };
    const first = await up(token, '--hosts', '3');
    const resources = { cpu: 1, memory: 64, disk: 64 };
    const { body: vm } = await call<VmBody>(url, 'POST', '/v1/vms?wait=running', { resources });
    expect(vm.state).toBe('running');
    expect(await first.end('SIGINT')).toBe(0);

    const second = await up(token, '--hosts', '3');
    expect(await allVms(url)).toMatchObject([{ id: vm.id, host: vm.host }]);
    await call(url, 'POST', '/v1/vms?wait=running', { resources });
    await second.end('SIGKILL');

    const third = await up(token, '--hosts', '3');
    await until('both VMs running', async () => {
      const vms = await allVms(url);
      return vms.length === 2 && vms.every(({ state }) => state === 'running');
    });
    const hosts = await call<{ items: unknown[] }>(url, 'GET', '/v1/hosts');
    expect(hosts.body.items).toHaveLength(4);
    expect(await third.end('SIGTERM')).toBe(0);
  }, 300_000);
});
