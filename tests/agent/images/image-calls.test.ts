/** Images and consoles over the agent's HTTP interface, with a real agent. */
import { createConnection } from 'node:net';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createSimulatedDriver } from '../../../src/agent/drivers/simulated.js';
import type { ImageStore } from '../../../src/agent/images/image-store.js';
import { systemClock } from '../../../src/std/clock.js';
import { answerOf, order, startFixture, until, type AgentFixture } from '../agent-fixture.js';
import { ImageFiles, MIB } from './image-files.js';

let files: ImageFiles;
let images: ImageStore;
let fixture: AgentFixture;
beforeEach(async () => {
  files = await ImageFiles.make();
  images = await files.store({ bytesMax: 8 * MIB });
  const consoles = files.path('consoles');
  await mkdir(consoles);
  const driver = {
    ...createSimulatedDriver({ clock: systemClock, given: { bootMs: 5, stopMs: 5 } }),
    consoleLog: (vmId: string) => join(consoles, vmId),
  };
  fixture = await startFixture({}, { images, driver });
});
afterEach(async () => {
  await fixture.close();
  await files.remove();
});

const disk = Buffer.alloc(MIB, 'disk');

const put = async (path: string, body: Buffer | string, type = 'application/octet-stream') =>
  answerOf(
    await fetch(`${fixture.agent.address}${path}`, {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${fixture.agent.credential}`,
        'content-type': type,
      },
      body,
    }),
  );

describe('images of an agent', () => {
  it('come in, are listed and go', async () => {
    const added = await put('/v1/images/demo?format=raw', disk);
    expect(added).toMatchObject({
      status: 200,
      body: { name: 'demo', format: 'raw', bytes: MIB, virtualBytes: MIB },
    });
    expect(added.body).not.toHaveProperty('path');
    expect((await fixture.call('GET', '/v1/images')).body).toEqual({
      items: [added.body],
      anyName: false,
    });
    expect((await fixture.call('DELETE', '/v1/images/demo')).body).toEqual({ gone: true });
    expect((await fixture.call('DELETE', '/v1/images/demo')).body).toEqual({ gone: true });
    expect(images.list()).toEqual([]);
  });

  it.each([
    ['/v1/images/a%2F..%2Fb', disk, 'application/octet-stream', 'invalid_request'],
    ['/v1/images/a?format=vmdk', disk, 'application/octet-stream', 'invalid_request'],
    ['/v1/images/a', Buffer.alloc(0), 'application/octet-stream', 'invalid_request'],
    ['/v1/images/a', disk, 'application/json', 'unsupported_media_type'],
    ['/v1/images/a?format=qcow2', disk, 'application/octet-stream', 'image_invalid'],
    ['/v1/images/a', Buffer.alloc(9 * MIB), 'application/octet-stream', 'body_too_large'],
  ])('refuse %s', async (path, body, type, code) => {
    expect((await put(path, body, type)).body).toMatchObject({ code });
    expect(await readdir(files.storePath)).toEqual([]);
  });

  it('leave nothing when the upload is cut off in the middle', async () => {
    const { port } = new URL(fixture.agent.address);
    const socket = createConnection(Number(port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      `PUT /v1/images/demo HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${fixture.agent.credential}\r\n` +
        `content-type: application/octet-stream\r\ncontent-length: ${MIB.toString()}\r\n\r\n`,
    );
    socket.write(disk.subarray(0, MIB / 2));
    const parts = () => readdir(files.storePath);
    await until(parts, (names) => names.some((name) => name.endsWith('.part')));
    socket.destroy();
    await until(parts, (names) => names.length === 0);
    // The name is free again.
    expect((await put('/v1/images/demo', disk)).status).toBe(200);
  });

  it('are asked for before a VM is claimed, and kept while its disk is there', async () => {
    const ask = (image: string, diskMib: number) =>
      fixture.call('PUT', '/v1/vms/vm-1', {
        ...order(1, { cpu: 1, memory: 64, disk: diskMib }),
        image,
        users: [{ name: 'jo', sshKeys: ['ssh-rsa AAAA'] }],
      });
    expect((await ask('demo', 64)).body).toMatchObject({
      code: 'image_missing',
      image: 'demo',
      status: 409,
    });
    await put('/v1/images/demo', Buffer.alloc(2 * MIB, 'x'));
    expect((await ask('demo', 1)).body).toMatchObject({ code: 'disk_too_small', leastMib: 2 });
    expect((await fixture.call('GET', '/v1/vms')).body).toEqual({ items: [] });
    expect(await ask('demo', 64)).toMatchObject({ status: 200 });
    // Who may log in is known again after a restart.
    await fixture.restart();
    expect((await fixture.call('GET', '/v1/vms/vm-1')).status).toBe(200);
  });
});

describe('a host whose driver pretends', () => {
  it('takes any name of an image, and no image', async () => {
    const plain = await startFixture();
    const image = { ...order(1), image: 'whatever' };
    expect((await plain.call('PUT', '/v1/vms/vm-1', image)).status).toBe(200);
    expect((await plain.call('GET', '/v1/images')).body).toEqual({ items: [], anyName: true });
    const refused = await fetch(`${plain.agent.address}/v1/images/demo`, {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${plain.agent.credential}`,
        'content-type': 'application/octet-stream',
      },
      body: disk,
    });
    expect(await refused.json()).toMatchObject({ code: 'state_conflict' });
    expect((await plain.call('GET', '/v1/vms/vm-1/logs')).body).toMatchObject({
      code: 'not_found',
      detail: 'This VM has no console log.',
    });
    await plain.close();
  });
});

describe('the console of a VM', () => {
  const said = (name: string, text: string | Buffer) =>
    writeFile(files.path(`consoles/${name}`), text);
  const read = (query = '') => fixture.call('GET', `/v1/vms/vm-1/logs${query}`);
  const textOf = ({ body }: Awaited<ReturnType<typeof read>>) =>
    Buffer.from(String(body.data), 'base64').toString();
  beforeEach(async () => {
    await fixture.call('PUT', '/v1/vms/vm-1', order(1));
  });

  it('is read from its end, or from where somebody left off', async () => {
    expect((await read()).status).toBe(404);
    await said('vm-1', 'one\ntwo\n');
    const all = await read();
    expect([textOf(all), all.body.next, all.body.more]).toEqual(['one\ntwo\n', 8, false]);
    expect(textOf(await read('?tailBytes=4'))).toBe('two\n');
    expect(textOf(await read('?tailBytes=0'))).toBe('');
    expect(textOf(await read('?from=4'))).toBe('two\n');
    expect((await read('?from=8')).body).toMatchObject({ data: '', next: 8, more: false });
    // It was begun anew.
    expect(textOf(await read('?from=99'))).toBe('one\ntwo\n');
    expect((await read('?from=1&tailBytes=1')).status).toBe(400);
    expect((await read('?from=-1')).status).toBe(400);
  });

  it('comes in pieces that are bounded, bytes that are no text included', async () => {
    const long = Buffer.alloc(600 * 1024, 'ÿ', 'latin1');
    await said('vm-1', long);
    const first = await read('?tailBytes=614400');
    expect(first.body).toMatchObject({ next: 256 * 1024, more: true });
    const pieces: Buffer[] = [];
    let next: unknown = 0;
    for (let more = true; more;) {
      const { body } = await read(`?from=${String(next)}`);
      pieces.push(Buffer.from(String(body.data), 'base64'));
      ({ next } = body);
      more = body.more === true;
    }
    expect(Buffer.concat(pieces).equals(long)).toBe(true);
    expect((await read('?tailBytes=4194305')).status).toBe(400);
  });

  it('is no other file, whatever lies in its place', async () => {
    await symlink('/etc/passwd', files.path('consoles/vm-1'));
    expect((await read()).body).toMatchObject({ code: 'not_found' });
    expect((await fixture.call('GET', '/v1/vms/..%2Fvm-1/logs')).status).toBe(400);
    expect((await fixture.call('GET', '/v1/vms/nobody/logs')).status).toBe(404);
  });
});
