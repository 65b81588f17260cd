/**
 * The image store against real files and the real qemu-img. Method: images are made with qemu-img as
 * a stranger would make them; each must be refused, and leave nothing behind.
 */
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ImageFormat } from '../../../src/model/images.js';
import type { DomainError } from '../../../src/model/errors.js';
import { ImageFiles, infoOf, MIB, qemuImg, uploadOf } from './image-files.js';

let files: ImageFiles;
beforeEach(async () => {
  files = await ImageFiles.make();
});
afterEach(() => files.remove());

const isLeft = () => readdir(files.storePath);

describe('an image store', () => {
  it('takes qcow2 and raw, tells them by their beginning, and has them again after a restart', async () => {
    const store = await files.store();
    const qcow2 = await files.qcow2('a', 64);
    const raw = await files.file('b', 'a boot sector', 2 * MIB);
    await store.add('a', await uploadOf(qcow2));
    await store.add('b', await uploadOf(raw));
    const before = store.list();
    expect(before).toMatchObject([
      { name: 'a', format: 'qcow2', virtualBytes: 64 * MIB },
      { name: 'b', format: 'raw', virtualBytes: 2 * MIB, bytes: 2 * MIB },
    ]);
    expect((await files.store()).list()).toEqual(before);
    expect(await infoOf(before[0]!.path, 'qcow2')).toMatchObject({ 'virtual-size': 64 * MIB });
  });

  it('takes the same bytes twice, and others under the name not', async () => {
    const store = await files.store();
    const path = await files.file('a', 'one', MIB);
    const first = await store.add('a', await uploadOf(path));
    expect(await store.add('a', await uploadOf(path))).toEqual(first);
    const other = await files.file('b', 'two', MIB);
    await expect(store.add('a', await uploadOf(other))).rejects.toMatchObject({
      code: 'name_conflict',
    });
    expect(await isLeft()).toHaveLength(2);
  });

  it('keeps nothing of an upload that breaks off, that is too short, or that has no room', async () => {
    const store = await files.store({
      bytesMax: 4 * MIB,
      checkRoom: (bytes) =>
        bytes > 2 * MIB ? Promise.reject(new Error('no room')) : Promise.resolve(),
    });
    const broken = (async function* () {
      yield Buffer.alloc(MIB);
      await Promise.resolve();
      throw new Error('the line is dead');
    })();
    const add = (bytes: number, body: AsyncIterable<Uint8Array>) =>
      store.add('a', { format: 'raw', bytes, body });
    await expect(add(2 * MIB, broken)).rejects.toThrow('the line is dead');
    const path = await files.file('short', 'x', MIB);
    const { body } = await uploadOf(path);
    await expect(add(2 * MIB, body)).rejects.toMatchObject({ code: 'invalid_request' });
    await expect(add(3 * MIB, (await uploadOf(path)).body)).rejects.toThrow('no room');
    await expect(add(5 * MIB, (await uploadOf(path)).body)).rejects.toMatchObject({
      code: 'body_too_large',
    });
    expect(store.list()).toEqual([]);
    expect(await isLeft()).toEqual([]);
    // The name is free again.
    await store.add('a', await uploadOf(path));
  });

  it('has room for all uploads under way together, not for each by itself', async () => {
    const asked: number[] = [];
    const store = await files.store({
      checkRoom: (bytes) => {
        asked.push(bytes);
        return bytes > 3 * MIB ? Promise.reject(new Error('no room')) : Promise.resolve();
      },
    });
    const path = await files.file('two', 'x', 2 * MIB);
    let go: () => void = () => undefined;
    const told = new Promise<void>((resolve) => {
      go = resolve;
    });
    const { body } = await uploadOf(path);
    const slow = (async function* () {
      await told;
      yield* body;
    })();
    const first = store.add('first', { format: 'raw', bytes: 2 * MIB, body: slow });
    await expect(store.add('second', await uploadOf(path))).rejects.toThrow('no room');
    go();
    await first;
    // What has come is on the disk, where the check itself finds it.
    await store.add('second', await uploadOf(path));
    expect(asked).toEqual([2 * MIB, 4 * MIB, 2 * MIB]);
  });

  it('says of an image that is being made or sent "not now", and "missing" after it failed', async () => {
    const store = await files.store();
    const vm = { image: 'demo', diskMib: 64 };
    const said = (): unknown => {
      try {
        store.check(vm);
        return 'has it';
      } catch (error) {
        return (error as DomainError).code;
      }
    };
    const making = store.whileMade('demo', () => {
      expect(said()).toBe('overloaded');
      return Promise.reject(new Error('no packages'));
    });
    await expect(making).rejects.toThrow('no packages');
    expect(said()).toBe('image_missing');
    const adding = store.add('demo', await uploadOf(await files.file('demo', 'x', MIB)));
    expect(said()).toBe('overloaded');
    await adding;
    expect(said()).toBe('has it');
  });

  it('clears away what a crash has left, and keeps images whose notes are there', async () => {
    const store = await files.store();
    const image = await store.add('a', await uploadOf(await files.file('a', 'one', MIB)));
    const lost = 'b6b6b6b6-0000-4000-8000-000000000000';
    await writeFile(join(files.storePath, `${lost}.part`), 'half');
    await writeFile(join(files.storePath, `${lost}.qcow2`), 'whole, but never noted');
    await writeFile(join(files.storePath, 'somebody-elses'), '');
    const again = await files.store();
    expect(again.list()).toEqual([image]);
    expect((await isLeft()).sort()).toEqual(
      [`${image.id}.json`, `${image.id}.raw`, 'somebody-elses'].sort(),
    );
  });

  it('removes an image only when no disk lies over it', async () => {
    const store = await files.store();
    await store.add('a', await uploadOf(await files.file('a', 'one', MIB)));
    store.hold('a', 'vm-1');
    await expect(store.remove('a')).rejects.toMatchObject({ code: 'state_conflict' });
    store.release('vm-1');
    expect(await store.remove('a')).toBe(true);
    expect(await store.remove('a')).toBe(false);
    expect(await isLeft()).toEqual([]);
    expect(() => store.hold('a', 'vm-1')).toThrow('This host does not have the image a.');
  });

  it('tells which VM can be made here', async () => {
    const store = await files.store();
    await store.add('a', await uploadOf(await files.qcow2('a', 64)));
    const check = (image: string | null, diskMib: number) => () => {
      store.check({ image, diskMib });
    };
    expect(check('a', 64)).not.toThrow();
    expect(check(null, 0)).not.toThrow();
    expect(check('a', 63)).toThrow('needs a disk of 64 MiB; the VM has 63 MiB');
    expect(check('b', 64)).toThrow('does not have the image b');
  });
});

describe('an image from a stranger', () => {
  const refusedAs = async (path: string, format: ImageFormat | null): Promise<string> => {
    const store = await files.store({ virtualBytesMax: 1024 ** 4 });
    const error = await store.add('evil', await uploadOf(path, format)).then(
      () => 'it was taken',
      (thrown: unknown) => thrown as { readonly code: string; readonly message: string },
    );
    expect(error).toMatchObject({ code: 'image_invalid' });
    expect(await isLeft()).toEqual([]);
    return (error as { readonly message: string }).message;
  };
  /** qemu-img would look for the file below. */
  const over = (backing: string) => files.qcow2('evil', 1, '-u', '-b', backing, '-F', 'raw');

  it.each([
    '/etc/passwd',
    'nbd://127.0.0.1:9/secret',
    'json:{"driver":"file","filename":"/etc/passwd"}',
  ])('with a backing file %s is refused', async (backing) => {
    const path = await over(backing);
    expect(await refusedAs(path, null)).toMatch(/backing file/);
    expect(await refusedAs(path, 'qcow2')).toMatch(/backing file/);
    expect(await refusedAs(path, 'raw')).toMatch(/said to be raw, but it is qcow2/);
  });

  it('with its data in another file is refused', async () => {
    const data = files.path('data');
    const path = await files.qcow2('evil', 1, '-o', `data_file=${data},data_file_raw=on`);
    expect(await refusedAs(path, 'qcow2')).toMatch(/its data lies in another file/);
    await rm(data);
    expect(await refusedAs(path, null)).toMatch(/its data lies in another file/);
  });

  it('that claims a huge disk is refused', async () => {
    const path = await files.qcow2('evil', 2 * 1024 * 1024);
    expect(await refusedAs(path, null)).toMatch(/larger than the 1099511627776 bytes/);
  });

  it('that is encrypted, corrupt, of an unknown version, cut off or empty is refused', async () => {
    const sound = Buffer.alloc(65_536);
    sound.writeUInt32BE(0x514649fb, 0);
    sound.writeUInt32BE(3, 4);
    let made = 0;
    const changed = (change: (head: Buffer) => void) => {
      const head = Buffer.from(sound);
      change(head);
      made += 1;
      return files.file(`evil-${made.toString()}`, head);
    };
    const cases: readonly (readonly [Promise<string>, RegExp])[] = [
      [changed((head) => head.writeUInt32BE(1, 32)), /encrypted/],
      [changed((head) => head.writeBigUInt64BE(2n, 72)), /marked as corrupt/],
      [changed((head) => head.writeUInt32BE(9, 4)), /version 9 is unknown/],
      [Promise.resolve(await files.file('cut', sound.subarray(0, 60))), /cut off/],
      // Nothing wrong with what we read ourselves: qemu-img must not be able to read it.
      [changed(() => undefined), /qemu-img cannot read it/],
      [Promise.resolve(await files.file('none', 'no image', 512)), /no qcow2 image/],
    ];
    for (const [path, message] of cases)
      expect(await refusedAs(await path, 'qcow2')).toMatch(message);
  });

  it.each([
    ['VMDK', '# Disk DescriptorFile\nRW 2048 FLAT "/etc/shadow" 0\n'],
    ['VMDK', 'KDMV'],
    ['VHDX', 'vhdxfile'],
    ['VDI', '<<< Oracle VM VirtualBox Disk Image >>>'],
  ])(
    'that looks like %s is raw bytes when it is said to be raw, and refused otherwise',
    async (kind, head) => {
      const path = await files.file('evil', head, MIB);
      expect(await refusedAs(path, null)).toMatch(kind);
      const store = await files.store();
      const image = await store.add('bytes', await uploadOf(path, 'raw'));
      expect(image).toMatchObject({ format: 'raw', virtualBytes: MIB });
      expect(await qemuImg('info', '-f', 'raw', image.path)).toMatch(/file format: raw/);
    },
  );
});
