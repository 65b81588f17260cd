/** `berth image …` and `berth vm logs` against a server. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { EXAMPLE_IMAGE, EXAMPLE_IMAGE_ADDED } from '../../src/api/examples.js';
import { harmless } from '../../src/cli/vm-logs-command.js';
import type { ImageOnHostsBody } from '../../src/wire/images.js';
import { problemDocument, vmDocument } from './documents.js';
import { berth, startServer, type Call, type Reply, type Server } from './terminal.js';

let directory: string;
let file: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'berth-cli-'));
  file = join(directory, 'debian-12.img');
  await writeFile(file, 'a disk');
});
afterAll(() => rm(directory, { recursive: true, force: true }));

let server: Server | undefined;
afterEach(() => server?.stop());

async function run(args: readonly string[], answer: (call: Call) => Reply) {
  await server?.stop();
  server = await startServer(answer);
  const outcome = await berth(args, { BERTH_URL: server.url, BERTH_TOKEN: 't' });
  return { ...outcome, calls: server.calls };
}

const done = () => ({ document: EXAMPLE_IMAGE_ADDED });

describe('berth image add', () => {
  it('sends the file under its own name to all hosts', async () => {
    const { code, stdout, calls } = await run(['image', 'add', file], done);
    expect(calls).toMatchObject([
      { method: 'PUT', path: '/v1/images/debian-12', query: {}, body: 'a disk' },
    ]);
    expect([code, stdout]).toEqual([0, '1 of 1 hosts have debian-12.\n']);
  });

  it('sends it under another name and as another format to one host', async () => {
    const args = ['image', 'add', file, '--name', 'x', '--format', 'raw', '--host', 'oak'];
    const { calls } = await run(args, done);
    expect(calls).toMatchObject([
      { method: 'PUT', path: '/v1/hosts/oak/images/x', query: { format: 'raw' } },
    ]);
  });

  it('tells where it failed and why, and ends with 1', async () => {
    const document: ImageOnHostsBody = {
      name: 'x',
      hosts: [
        { host: { id: 'a', name: 'oak' }, outcome: 'done', detail: null },
        { host: { id: 'b', name: 'elm' }, outcome: 'failed', detail: 'its disk is full' },
        { host: { id: 'c', name: 'ash' }, outcome: 'skipped', detail: 'It is down.' },
      ],
    };
    const { code, stdout, stderr } = await run(['image', 'add', file], () => ({ document }));
    expect(code).toBe(1);
    expect(stdout).toMatch(/^1 of 3 hosts have x\.\n/);
    expect(stdout).toMatch(/elm +failed +its disk is full/);
    expect(stdout).toMatch(/ash +skipped +It is down\./);
    expect(stderr).toContain('It failed on 1 hosts.');
  });

  it.each([
    ['no such file', ['nothing.img']],
    ['a directory', ['.', '--name', 'x']],
    ['a name that is none', ['package.json', '--name', 'a/b']],
    ['a format that is none', ['package.json', '--format', 'vmdk']],
  ])('refuses %s, and asks nobody', async (_what, args) => {
    const { code, calls } = await run(['image', 'add', ...args], done);
    expect([code, calls]).toEqual([2, []]);
  });
});

describe('berth image list and remove', () => {
  it('show which host has which, and who did not answer', async () => {
    const document = { items: [EXAMPLE_IMAGE], unanswered: [{ id: 'b', name: 'elm' }] };
    const { stdout } = await run(['image', 'list'], () => ({ document }));
    expect(stdout).toMatch(/debian-12 +host-1 +qcow2 +329 MiB +2048 MiB +9f86d081884c\n/);
    expect(stdout).toContain('Did not answer: elm');
    const none = { items: [], unanswered: [] };
    expect((await run(['image', 'list'], () => ({ document: none }))).stdout).toBe('No images.\n');
  });

  it('take an image away', async () => {
    const { stdout, calls } = await run(['image', 'remove', 'debian-12', '--host', 'oak'], done);
    expect(calls).toMatchObject([{ method: 'DELETE', path: '/v1/hosts/oak/images/debian-12' }]);
    expect(stdout).toBe('1 of 1 hosts do not have debian-12.\n');
  });
});

describe('berth vm logs', () => {
  const vm = vmDocument({ name: 'web-1' });
  const console = { raw: 'berth guest web-1: ready\r\n', status: 200, contentType: 'text/plain' };

  it('prints the console as it came', async () => {
    const { code, stdout, calls } = await run(['vm', 'logs', vm.id], ({ path }) =>
      path.endsWith('/logs') ? console : { document: vm },
    );
    expect([code, stdout]).toEqual([0, 'berth guest web-1: ready\r\n']);
    expect(calls.at(-1)).toMatchObject({ path: `/v1/vms/${vm.id}/logs`, query: {} });
  });

  it('asks for what is to follow, and for so much of what was', async () => {
    const { calls } = await run(['vm', 'logs', '-f', '--tail', '100', vm.id], ({ path }) =>
      path.endsWith('/logs') ? console : { document: vm },
    );
    expect(calls.at(-1)?.query).toEqual({ tailBytes: '100', follow: 'true' });
  });

  it('tells that there is none', async () => {
    const { code, stderr } = await run(['vm', 'logs', vm.id], ({ path }) =>
      path.endsWith('/logs')
        ? { problem: problemDocument('not_found', { detail: 'This VM has no console log.' }) }
        : { document: vm },
    );
    expect(code).toBe(3);
    expect(stderr).toContain('This VM has no console log.');
  });

  it('obeys nothing that a guest says to a terminal', () => {
    expect(harmless('a\r\n\u001b]0;mine\u0007\tb\u009b2J')).toBe(
      'a\n\ufffd]0;mine\ufffd\tb\ufffd2J',
    );
  });
});

describe('berth vm create --user', () => {
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 jo@example.org';
  const create = (...args: string[]) =>
    run(['vm', 'create', '--no-wait', ...args], () => ({ document: vmDocument({}), status: 202 }));

  it('sends the keys of the files', async () => {
    const keys = join(directory, 'keys.pub');
    await writeFile(keys, `# mine\n${key}\n\n${key} too\n`);
    const { calls } = await create('--user', 'jo', '--ssh-key', keys, '--ssh-key', keys);
    expect(calls[0]?.body).toMatchObject({
      users: [{ name: 'jo', sshKeys: [key, `${key} too`, key, `${key} too`] }],
    });
  });

  it('sends no private key, and no user without one', async () => {
    const secret = join(directory, 'id_ed25519');
    await writeFile(secret, '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n');
    const slip = await create('--user', 'jo', '--ssh-key', secret);
    expect([slip.code, slip.calls]).toEqual([2, []]);
    expect(slip.stderr).toContain('public keys end in .pub');
    expect(slip.stderr).not.toContain('b3BlbnNzaC1r');
    expect((await create('--user', 'jo')).code).toBe(2);
    expect((await create('--ssh-key', secret)).code).toBe(2);
  });
});
