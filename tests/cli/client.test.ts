/** Reaching a control plane, proving who we are, and what is said when either fails. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { findAccess } from '../../src/cli/access.js';
import { problemDocument, vmDocument } from './documents.js';
import { berth, startServer, words, type Reply, type Server } from './terminal.js';

const NO_VMS: Reply = { document: { items: [], nextCursor: null } };

let server: Server;
let reply: Reply;
let folder: string;
beforeEach(async () => {
  reply = NO_VMS;
  server = await startServer(() => reply);
  folder = await mkdtemp(join(tmpdir(), 'berth-cli-'));
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const list = (env: Readonly<Record<string, string>> = {}) =>
  berth(['vm', 'list'], { BERTH_URL: server.url, BERTH_DATA_DIR: folder, ...env });

describe('the token', () => {
  const keepToken = () => writeFile(join(folder, 'admin.token'), 'from-file\n', { mode: 0o600 });

  it('is the one in BERTH_TOKEN before that in the file', async () => {
    await keepToken();
    await list({ BERTH_TOKEN: 'from-env' });
    expect(server.calls[0]?.authorization).toBe('Bearer from-env');
  });

  it('is read from admin.token in the data folder otherwise', async () => {
    await keepToken();
    await list();
    expect(server.calls[0]?.authorization).toBe('Bearer from-file');
  });

  it('is absent when there is none, and a 401 says where it belongs', async () => {
    reply = { problem: problemDocument('unauthenticated') };
    const { code, stderr } = await list();
    expect(server.calls[0]?.authorization).toBeUndefined();
    expect(code).toBe(1);
    expect(stderr).toContain('hint: set BERTH_TOKEN');
    expect(stderr).toContain(join(folder, 'admin.token'));
  });

  it('is named, not shown, when it is the wrong one', async () => {
    reply = { problem: problemDocument('unauthenticated') };
    const { stderr } = await list({ BERTH_TOKEN: 'hush-hush' });
    expect(stderr).toContain('knows another token');
    expect(stderr).not.toContain('hush-hush');
  });

  it('of this machine is not shown to another', async () => {
    await keepToken();
    const access = (url: string) => findAccess({ BERTH_URL: url, BERTH_DATA_DIR: folder });
    expect((await access('http://localhost:1')).token).toBe('from-file');
    expect((await access('http://[::1]:1')).token).toBe('from-file');
    expect((await access('https://berth.example.org')).token).toBeNull();
    expect((await access('http://127.0.0.1.example.org')).token).toBeNull();
  });

  it('that no header can carry is refused', async () => {
    const { code, stderr } = await list({ BERTH_TOKEN: 'two\nlines' });
    expect(code).toBe(2);
    expect(stderr).not.toContain('two');
    expect(server.calls).toEqual([]);
  });

  it('that cannot be read is a clear failure', async () => {
    const { code, stderr } = await list({ BERTH_DATA_DIR: join(folder, '\0') });
    expect(code).toBe(1);
    expect(stderr).toContain('cannot be read');
  });
});

describe('the address', () => {
  it('is this machine when nothing is said', async () => {
    expect(await findAccess({ BERTH_DATA_DIR: folder })).toEqual({
      url: 'http://127.0.0.1:8080',
      token: null,
    });
  });

  it('may have a path and a slash at its end', async () => {
    await list({ BERTH_URL: `${server.url}/berth/` });
    expect(server.calls[0]?.path).toBe('/berth/v1/vms');
  });

  it.each(['nowhere', 'ftp://host', 'http://me:hush@host', 'http://host/?a=b'])(
    'is refused: %s',
    async (url) => {
      const { code, stderr } = await list({ BERTH_URL: url });
      expect(code).toBe(2);
      expect(stderr).toContain('BERTH_URL');
      expect(stderr).not.toContain('hush');
    },
  );
});

describe('when there is no good answer', () => {
  it('ends with 5 when nobody listens', async () => {
    await server.stop();
    const { code, stdout, stderr } = await list();
    expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
    expect(stderr).toContain(`No control plane answers at ${server.url} (ECONNREFUSED).`);
    expect(stderr).toContain('berth up');
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it('ends with 5 when the connection breaks', async () => {
    reply = 'hang up';
    const { code, stderr } = await list();
    expect(code).toBe(5);
    expect(stderr).toContain('broke');
  });

  it.each<[string, Reply]>([
    ['a page of a proxy', { raw: '<h1>502</h1>', status: 502 }],
    ['a page that is all right', { raw: '<h1>Hello</h1>', status: 200 }],
    ['somebody else’s JSON', { document: { hello: 'world' } }],
    ['somebody else’s error', { document: { error: 'no' }, status: 404 }],
    ['a redirect', { raw: '', status: 302 }],
  ])('ends with 5 for %s', async (_what, other) => {
    reply = other;
    const { code, stderr } = await list();
    expect(code).toBe(5);
    expect(stderr).toContain('does not speak as a control plane');
  });

  it('prints every wrong field of a refused request and ends with 2', async () => {
    reply = {
      problem: problemDocument('invalid_request', {
        errors: [
          { field: 'name', message: 'must be short' },
          { field: 'resources.cpu', message: 'must be at most 512' },
        ],
      }),
    };
    const { code, stderr } = await berth(words('vm create --name x'), { BERTH_URL: server.url });
    expect(code).toBe(2);
    expect(stderr).toBe(
      [
        'error: The request is not valid. (invalid_request)',
        '  name: must be short',
        '  resources.cpu: must be at most 512',
        'request: request-42',
        '',
      ].join('\n'),
    );
  });

  it('understands a code that it does not know', async () => {
    reply = {
      problem: { ...problemDocument('id_conflict'), code: 'too_old' as 'id_conflict' },
    };
    const { code, stderr } = await list();
    expect(code).toBe(4);
    expect(stderr).toContain('(too_old)');
  });

  it('does not take half a VM for a VM', async () => {
    const { host: _host, ...half } = vmDocument();
    reply = { document: half };
    expect((await berth(words('vm show a'), { BERTH_URL: server.url })).code).toBe(5);
  });
});
