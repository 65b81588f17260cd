/** Texts of /proc as several architectures and kernels write them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import {
  parseCpuCount,
  parseLoad,
  parseMemory,
  parseUptimeS,
  readProc,
} from '../../src/std/proc.js';

describe('/proc/cpuinfo', () => {
  it.each([
    ['x86', 'processor\t: 0\nmodel name\t: A processor: 9\n\nprocessor\t: 1\ncpu cores\t: 1\n', 2],
    ['arm64', 'processor\t: 0\nBogoMIPS\t: 48.00\n\nprocessor\t: 1\n\nprocessor\t: 2\n', 3],
    ['old arm', 'Processor\t: ARMv7 rev 4\nprocessor\t: 0\n\nprocessor\t: 1\nHardware\t: X\n', 2],
    ['s390x', '# processors    : 2\nprocessor 0: version = FF\nprocessor 1: version = FF\n', 2],
    ['sparc', 'cpu\t\t: UltraSparc\nncpus probed\t: 16\nncpus active\t: 12\n', 12],
    ['alpha', 'cpu\t\t: Alpha\ncpus detected\t: 4\ncpus active\t: 4\n', 4],
  ])('of %s', (_what, text, count) => {
    expect(parseCpuCount(text)).toBe(count);
  });

  it.each(['', 'model name : processor\n', 'ncpus active : 0\n'])(
    'without any processor is an error',
    (text) => {
      expect(() => parseCpuCount(text)).toThrow(/names no processor/);
    },
  );
});

describe('/proc/meminfo', () => {
  it('tells what there is and what can be had', () => {
    const text = 'MemTotal:       16384000 kB\nMemFree: 1 kB\nMemAvailable:    8000000 kB\n';
    expect(parseMemory(text)).toEqual({
      totalKib: 16_384_000,
      availableKib: 8_000_000,
      hugePagesKib: 0,
    });
  });

  it('of old kernels has no MemAvailable', () => {
    const text = 'MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 20 kB\nCached: 300 kB\n';
    expect(parseMemory(text).availableKib).toBe(420);
  });

  it.each(['', 'MemFree: 5 kB\n', 'MemTotal: lots kB\n', 'MemTotal: 0 kB\n'])(
    'without MemTotal is an error',
    (text) => {
      expect(() => parseMemory(text)).toThrow(/no MemTotal/);
    },
  );
});

it('reads uptime and load, and nothing that is none', () => {
  expect(parseUptimeS('2520.31 4567.89\n')).toBe(2520.31);
  expect(() => parseUptimeS('')).toThrow();
  expect(() => parseUptimeS('-4')).toThrow();
  expect(parseLoad('0.08 1.05 12.01 1/234 5678\n')).toEqual([0.08, 1.05, 12.01]);
  expect(() => parseLoad('0.08 1.05')).toThrow();
  expect(() => parseLoad('a b c')).toThrow();
});

it('a file that is not there is null, one that cannot be read is an error', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'berth-proc-'));
  expect(await readProc(join(directory, 'cpuinfo'))).toBeNull();
  await expect(readProc(directory)).rejects.toThrow(/cannot read/);
  await rm(directory, { recursive: true });
});
