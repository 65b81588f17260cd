/** The disks of VMs, read back by programs that did not make them: qemu-img and isoinfo. */
import { chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import type { ImageStore } from '../../../src/agent/images/image-store.js';
import { hostnameOf, seedFiles } from '../../../src/agent/images/seed.js';
import { openVmDisks, type VmDisksOptions } from '../../../src/agent/images/vm-disks.js';
import { SSH_KEY_PATTERN } from '../../../src/model/ids.js';
import type { VmDisks } from '../../../src/agent/vm-parts.js';
import type { VmRecord } from '../../../src/agent/vm-store.js';
import { silentLog } from '../../support/log.js';
import { ImageFiles, infoOf, MIB, run, uploadOf } from './image-files.js';

const KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBhw1rZ0Fv5cVr6lDMcX2tCyJw3l0VYy1eZQm4n3b0aQ jo: "x" #y';

let files: ImageFiles;
let images: ImageStore;
let disks: VmDisks;
const openDisks = (changes: Partial<VmDisksOptions> = {}) =>
  openVmDisks({ directory: files.path('disks'), images, log: silentLog, ...changes });
beforeEach(async () => {
  files = await ImageFiles.make();
  images = await files.store();
  await images.add('demo', await uploadOf(await files.qcow2('demo', 16)));
  await images.add('plain', await uploadOf(await files.file('plain', 'boot', MIB)));
  disks = await openDisks();
});
afterEach(() => files.remove());

const record = (changes: Partial<VmRecord> = {}): VmRecord => ({
  id: 'Web-1',
  assignment: 1,
  name: 'web_1.acme',
  resources: { cpu: 1, memory: 128, disk: 64 },
  image: 'demo',
  users: [{ name: 'jo', sshKeys: [KEY] }],
  state: 'creating',
  reason: null,
  stateSince: 1,
  removing: false,
  ...changes,
});

const inSeed = async (iso: string, name: string) =>
  run('isoinfo', '-R', '-i', iso, '-x', `/${name}`);

describe('the disks of a VM', () => {
  it('are an overlay of the size asked for, whose format below is named, and a seed', async () => {
    const [root, seed] = await disks.prepare(record());
    const image = images.find('demo')!;
    expect(root).toMatchObject({
      format: 'qcow2',
      readOnly: false,
      backing: { path: image.path, format: 'qcow2' },
    });
    expect(await infoOf(root!.path, 'qcow2')).toMatchObject({
      format: 'qcow2',
      'virtual-size': 64 * MIB,
      'full-backing-filename': image.path,
      'backing-filename-format': 'qcow2',
    });
    expect(seed).toMatchObject({ format: 'raw', readOnly: true, backing: null });
    expect(await run('isoinfo', '-d', '-i', seed!.path)).toMatch(/Volume id: cidata/);
    expect(parse(await inSeed(seed!.path, 'meta-data'))).toEqual({
      'instance-id': 'Web-1',
      'local-hostname': 'web-1.acme',
    });
    const userData = await inSeed(seed!.path, 'user-data');
    expect(userData).toMatch(/^#cloud-config\n/);
    expect(parse(userData)).toMatchObject({
      hostname: 'web-1.acme',
      users: [{ name: 'jo', ssh_authorized_keys: [KEY], lock_passwd: true }],
    });
    expect(parse(await inSeed(seed!.path, 'network-config'))).toEqual({
      version: 2,
      ethernets: { primary: { match: { name: 'e*' }, dhcp4: true } },
    });
  });

  it('lie over a raw image as raw, and over nothing when there is no image', async () => {
    const [over] = await disks.prepare(record({ id: 'a', image: 'plain' }));
    expect(await infoOf(over!.path, 'qcow2')).toMatchObject({ 'backing-filename-format': 'raw' });
    const [empty] = await disks.prepare(record({ id: 'b', image: null }));
    expect(empty!.backing).toBeNull();
    const info = await infoOf(empty!.path, 'qcow2');
    expect(info).toMatchObject({ 'virtual-size': 64 * MIB });
    expect(info).not.toHaveProperty('backing-filename');
  });

  it('are made without a look into the image, which may have become anything', async () => {
    const image = images.find('demo')!;
    await writeFile(image.path, 'no qcow2 at all');
    const [root] = await disks.prepare(record());
    expect(await infoOf(root!.path, 'qcow2')).toMatchObject({
      'virtual-size': 64 * MIB,
      'full-backing-filename': image.path,
    });
  });

  it('are for the agent alone, as is the image below, also where an older one left them open', async () => {
    const paths = async () => [
      ...(await disks.prepare(record())).map(({ path }) => path),
      images.find('demo')!.path,
    ];
    const modes = async () =>
      Promise.all((await paths()).map(async (path) => (await stat(path)).mode & 0o777));
    expect(await modes()).toEqual([0o600, 0o600, 0o600]);
    for (const path of await paths()) await chmod(path, 0o644);
    images = await files.store();
    disks = await openDisks();
    expect(await modes()).toEqual([0o600, 0o600, 0o600]);
  });

  it('are never made again over what is there, also after a restart', async () => {
    const [root] = await disks.prepare(record());
    await writeFile(root!.path, 'what the guest wrote');
    const before = await stat(root!.path);
    const again = await openDisks();
    // Whatever a later order says, and whatever the name stands for by then.
    expect(await again.prepare(record({ image: 'plain', name: 'other' }))).toEqual(
      await disks.prepare(record()),
    );
    expect(await readFile(root!.path, 'utf8')).toBe('what the guest wrote');
    expect((await stat(root!.path)).mtimeMs).toBe(before.mtimeMs);
    await expect(images.remove('demo')).rejects.toMatchObject({ code: 'state_conflict' });
  });

  it('are refused when the image is not here or larger than the disk, and leave nothing', async () => {
    const small = record({ resources: { cpu: 1, memory: 128, disk: 15 } });
    await expect(disks.prepare(small)).rejects.toMatchObject({ code: 'disk_too_small' });
    await expect(disks.prepare(record({ image: 'gone' }))).rejects.toMatchObject({
      code: 'image_missing',
      message: 'This host does not have the image gone.',
    });
    expect(await readdir(files.path('disks'))).toEqual([]);
    expect(await images.remove('demo')).toBe(true);
  });

  it('go wholly, and let go of their image; a second removal changes nothing', async () => {
    await disks.prepare(record());
    await disks.prepare(record({ id: 'web-1' }));
    expect(await readdir(files.path('disks'))).toHaveLength(2);
    await disks.remove('Web-1');
    await disks.remove('Web-1');
    expect(await readdir(files.path('disks'))).toEqual(['web-1']);
    await expect(images.remove('demo')).rejects.toMatchObject({ code: 'state_conflict' });
    await disks.sweep(new Set(['other']));
    expect(await readdir(files.path('disks'))).toEqual([]);
    expect(await images.remove('demo')).toBe(true);
  });

  it('are finished by the next try when a crash left half of them', async () => {
    const [root, seed] = await disks.prepare(record());
    const half = `${root!.path}.tmp`;
    await writeFile(half, 'half');
    await rm(root!.path);
    await rm(seed!.path);
    const again = await openDisks();
    const made = await again.prepare(record());
    expect(await infoOf(made[0]!.path, 'qcow2')).toMatchObject({ 'virtual-size': 64 * MIB });
    expect(await readdir(files.path('disks/^web-1'))).toEqual([
      'disks.json',
      'root.qcow2',
      'seed.iso',
    ]);
  });
});

describe('a seed', () => {
  const input = { vmId: 'a', name: 'a', users: [], network: null };

  it('says the address where the host gives one', () => {
    const network = { mac: '52:54:00:00:00:01', gateway: '10.0.0.1', nameservers: ['10.0.0.2'] };
    const config = (address: string | null) =>
      parse(seedFiles({ ...input, network: { ...network, address } })['network-config']) as {
        readonly ethernets: { readonly primary: unknown };
      };
    expect(config('10.0.0.7/24').ethernets.primary).toEqual({
      match: { macaddress: '52:54:00:00:00:01' },
      addresses: ['10.0.0.7/24'],
      routes: [{ to: '0.0.0.0/0', via: '10.0.0.1' }],
      nameservers: { addresses: ['10.0.0.2'] },
    });
    expect(config(null).ethernets.primary).toMatchObject({ dhcp4: true });
  });

  it('gives nothing that was typed a meaning of its own', () => {
    const evil = 'ssh-rsa AAAA x\nruncmd: [reboot]\n#: {}';
    const { 'user-data': text } = seedFiles({ ...input, users: [{ name: 'jo', sshKeys: [evil] }] });
    expect(Object.keys(parse(text) as object)).toEqual([
      'hostname',
      'prefer_fqdn_over_hostname',
      'users',
    ]);
    expect(parse(text)).toMatchObject({ users: [{ ssh_authorized_keys: [evil] }] });
  });

  it.each(['no', 'on', 'y', 'null', '2024-01-01', '0b11', '0x1f', '010', '1_000', '1:30', '.inf'])(
    'calls a guest %s by that text, also for readers of YAML 1.1',
    (name) => {
      const seed = seedFiles({ ...input, vmId: name, name, users: [{ name, sshKeys: [KEY] }] });
      const read = (file: keyof typeof seed) => parse(seed[file], { version: '1.1' }) as object;
      const hostname = hostnameOf(name, name);
      expect(read('meta-data')).toEqual({ 'instance-id': name, 'local-hostname': hostname });
      expect(read('user-data')).toMatchObject({
        hostname,
        users: [{ name, ssh_authorized_keys: [KEY] }],
      });
      expect(seed['user-data']).toContain(`\nhostname: ${JSON.stringify(hostname)}\n`);
    },
  );

  it.each([
    ['web_1.acme', 'web-1.acme'],
    ['web_', 'web'],
    ['_a_.-b-.c', 'a.b.c'],
    ['a..b.', 'a.b'],
    ['_', 'vm-Id-7'],
    ['-.-', 'vm-Id-7'],
  ])('calls the guest of a VM %s %s', (name, hostname) => {
    const seed = seedFiles({ ...input, vmId: 'Id_7_', name });
    expect(parse(seed['meta-data'])).toMatchObject({ 'local-hostname': hostname });
  });

  it('has no key with a character that ends a line of YAML 1.1', () => {
    const said = [
      KEY,
      `${KEY} jörg 金`,
      ...['\n', '\u0085', '\u2028', '\u2029'].map((end) => KEY + end),
    ];
    expect(said.map((key) => SSH_KEY_PATTERN.test(key))).toEqual([
      ...[true, true, false, false, false, false],
    ]);
  });

  it('has no more than cloud-init reads', () => {
    const users = [{ name: 'jo', sshKeys: ['ssh-rsa '.padEnd(17_000, 'A')] }];
    expect(() => seedFiles({ ...input, users })).toThrow('too much for a seed');
  });
});
