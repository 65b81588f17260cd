/** What a VM is called on its host, from its first boot to its end, whatever agent boots it. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { vmDirectoryOf } from '../../../src/agent/qemu/vm-directory.js';
import { uuidFrom } from '../../../src/std/uuid.js';

const ORDERED_ID = '019aa8d2-5c3e-7b1a-9f42-0c6d2e8f1a35';

describe('a VM whose id begins with its time', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'berth-vm-directory-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  it('is called by it', () => {
    expect(vmDirectoryOf(root, ORDERED_ID)).toMatchObject({
      key: ORDERED_ID,
      path: join(root, ORDERED_ID),
    });
  });

  it('keeps what an earlier agent has called it until it is gone', async () => {
    const earlier = uuidFrom(ORDERED_ID);
    await mkdir(join(root, earlier));
    expect(vmDirectoryOf(root, ORDERED_ID)).toMatchObject({
      key: earlier,
      path: join(root, earlier),
    });
    await rm(join(root, earlier), { recursive: true });
    expect(vmDirectoryOf(root, ORDERED_ID).key).toBe(ORDERED_ID);
  });
});
