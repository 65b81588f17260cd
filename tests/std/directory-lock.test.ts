/** The lock that keeps a directory for one process. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockDirectory } from '../../src/std/directory-lock.js';

const lock = (directory: string) =>
  lockDirectory(directory, (pid) => `${directory} is in use by process ${pid.toString()}.`);

describe('lockDirectory', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-lock-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const lockFile = () => join(folder, 'lock');

  it('lets one in, and the next when it is given back', async () => {
    const unlock = await lock(folder);
    await expect(lock(folder)).rejects.toThrow(`${folder} is in use by process ${process.pid}`);
    await unlock();
    await (
      await lock(folder)
    )();
    expect(await readdir(folder)).toEqual([]);
  });

  it('refuses what another living process holds', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
    try {
      await once(child, 'spawn');
      await writeFile(lockFile(), JSON.stringify({ pid: child.pid, startedAt: null }));
      await expect(lock(folder)).rejects.toThrow(`is in use by process ${child.pid!}`);
      expect(await readdir(folder)).toEqual(['lock']);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await (
      await lock(folder)
    )();
  });

  it('takes over the lock of a process whose id lives on in another', async () => {
    await writeFile(lockFile(), JSON.stringify({ pid: process.pid, startedAt: '1' }));
    await lock(folder);
    expect(JSON.parse(await readFile(lockFile(), 'utf8'))).toMatchObject({ pid: process.pid });
    await expect(lock(folder)).rejects.toThrow('is in use');
  });

  it.each(['', '{', '[]', 'null', '{"pid":"7"}'])(
    'takes over a lock that reads %j',
    async (text) => {
      await writeFile(lockFile(), text);
      await (
        await lock(folder)
      )();
      expect(await readdir(folder)).toEqual([]);
    },
  );

  it('lets exactly one of many take over', async () => {
    const dead = JSON.stringify({ pid: process.pid, startedAt: '1' });
    await writeFile(lockFile(), dead);
    // Left by one who died while he took over.
    await writeFile(`${lockFile()}.next`, dead);
    const answers = await Promise.allSettled(Array.from({ length: 20 }, () => lock(folder)));
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await readdir(folder)).toEqual(['lock']);
  });
});
