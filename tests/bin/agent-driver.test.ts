/** Which driver an agent gets. Method: a search path on which the programs are, or are not. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { driverFor } from '../../src/bin/agent-driver.js';
import { loadConfig } from '../../src/bin/config.js';
import { silentLog } from '../support/log.js';

describe('the driver of this machine', () => {
  let folder: string;
  const searchPath = process.env.PATH;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'berth-driver-'));
    process.env.PATH = folder;
  });
  afterEach(async () => {
    process.env.PATH = searchPath;
    await rm(folder, { recursive: true, force: true });
  });

  const install = async (name: string): Promise<void> => {
    const program = join(folder, name);
    await writeFile(program, '#!/bin/sh\n');
    await chmod(program, 0o755);
  };

  const choose = (driver?: string) =>
    driverFor(
      loadConfig({
        env: { BERTH_DATA_DIR: folder, ...(driver === undefined ? {} : { AGENT_DRIVER: driver }) },
      }),
      silentLog,
      {
        rates: () => {
          throw new Error('no VM is started here');
        },
        checkImageRoom: () => Promise.resolve(),
      },
    );

  it('only pretends where QEMU is not installed, and says what to install', async () => {
    const { driver, told } = await choose();
    expect(driver.name).toBe('simulated');
    expect(told).toContain('qemu-system-x86_64 is not installed (apt-get install qemu-system-x86)');
    await install('qemu-system-x86_64');
    expect((await choose('auto')).told).toContain('apt-get install qemu-utils');
  });

  it('is only pretended where nothing makes seeds: no VM could be started', async () => {
    for (const name of ['qemu-system-x86_64', 'qemu-img', 'setpriv', 'prlimit']) {
      await install(name);
    }
    const missing = 'neither genisoimage nor xorriso is installed (apt-get install genisoimage)';
    expect((await choose('auto')).told).toContain(missing);
    await expect(choose('qemu')).rejects.toThrow(`AGENT_DRIVER is qemu, but ${missing}`);
    await install('xorriso');
    const { driver } = await choose('qemu');
    expect(driver.name).toBe('qemu');
    await driver.close();
  });

  it('is not pretended where QEMU was asked for', async () => {
    await expect(choose('qemu')).rejects.toThrow('AGENT_DRIVER is qemu, but qemu-system-x86_64');
  });

  it('is pretended where that was asked for, whatever is installed', async () => {
    process.env.PATH = searchPath;
    const { driver, told } = await choose('simulated');
    expect([driver.name, told]).toEqual([
      'simulated',
      'VMs on this machine are only pretended: AGENT_DRIVER is simulated',
    ]);
  });

  it('is QEMU where it is installed, with what really runs guests', async () => {
    process.env.PATH = searchPath;
    const { driver, told } = await choose();
    try {
      expect(driver.name).toBe('qemu');
      expect(driver.accelerator).toMatch(/^(kvm|tcg)$/);
      expect(told).toMatch(/^VMs on this machine are real: QEMU, with(out)? KVM/);
    } finally {
      await driver.close();
    }
  });
});
