/** CPU lists, quotas and route tables as Linux writes them, and 100,000 texts that only look like it. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseCpuList, parseCpuQuota } from '../../src/std/cpu-list.js';
import { parseCpuCount, parseMemory } from '../../src/std/proc.js';
import {
  bestRoute,
  isInterfaceName,
  parseIpv4Routes,
  parseIpv6Routes,
} from '../../src/std/routes.js';

describe('a list of CPUs', () => {
  it.each([
    ['0\n', 1],
    ['0-1\n', 2],
    ['0-3,8,10-11', 7],
    ['0-3,2-5', 6],
    ['0-65535', 65_536],
  ])('%j', (text, count) => {
    expect(parseCpuList(text).size).toBe(count);
  });

  it.each(['', '\n', 'x', '3-1', '0,', '0--3', '-1', '0-65536', '0-999999', '1.5'])(
    '%j is none',
    (text) => {
      expect(() => parseCpuList(text)).toThrow(/list of CPUs/);
    },
  );
});

it.each([
  ['200000 100000\n', 2],
  ['50000 100000', 0.5],
  ['max 100000', null],
  ['-1 100000', null],
  ['100000 0', null],
  ['0 100000', null],
  ['', null],
])('the quota %j is worth %d CPUs', (text, cpus) => {
  expect(parseCpuQuota(text)).toBe(cpus);
});

const HEAD = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n';
const ipv4 = (...rows: readonly (readonly [string, string, string, number, string])[]) =>
  HEAD +
  rows
    .map(
      ([name, destination, flags, metric, mask]) =>
        `${name}\t${destination}\t010200C0\t${flags}\t0\t0\t${metric.toString()}\t${mask}\t0\t0\t0  \n`,
    )
    .join('');

describe('the default route', () => {
  it('is the one of the lowest metric, not the first', () => {
    const table = ipv4(
      ['wlan0', '00000000', '0003', 600, '00000000'],
      ['eth0', '00000000', '0003', 100, '00000000'],
      ['eth0', '000200C0', '0001', 0, '00FFFFFF'],
    );
    expect(bestRoute(parseIpv4Routes(table))).toEqual({ interfaceName: 'eth0', metric: 100 });
  });

  it('is none that is down, that rejects, or that is part of the net only', () => {
    const table = ipv4(
      ['eth0', '00000000', '0002', 0, '00000000'],
      ['eth1', '00000000', '0201', 0, '00000000'],
      ['tun0', '00000000', '0001', 0, '00000080'],
      ['lo', '00000000', '0001', 0, '00000000'],
    );
    expect(parseIpv4Routes(table)).toEqual([]);
    expect(bestRoute([])).toBeNull();
  });

  it('is found in the table of IPv6, whose metrics are hexadecimal', () => {
    const zero = '0'.repeat(32);
    const via = 'fe800000000000000000000000000001';
    const table = [
      `${zero} 00 ${zero} 00 ${via} 00000400 00000001 00000000 00000003     eth0`,
      `${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200       lo`,
      `20010db8000000000000000000000000 40 ${zero} 00 ${zero} 00000100 00000001 00000000 00000001 eth0`,
    ].join('\n');
    expect(parseIpv6Routes(table)).toEqual([{ interfaceName: 'eth0', metric: 1024 }]);
  });

  it.each(['../../etc', 'a b', 'a/b', '', '.', '..', 'x'.repeat(16)])(
    'never names %j as an interface',
    (name) => {
      expect(isInterfaceName(name)).toBe(false);
    },
  );
});

/** Lines of these tables with parts of one another. */
const words = fc.constantFrom(
  ...['0', '1', '-1', '0-3', ',', '00000000', '0003', '0200', 'eth0', '../x', 'max', '100000'],
  ...[
    'processor',
    ':',
    'MemTotal:',
    'kB',
    '99999999999999',
    '1e5',
    'NaN',
    '\t',
    '\n',
    'cpus active',
  ],
  ...['0'.repeat(32), 'ffffffff', 'Hugetlb:', 'HugePages_Total:', 'Hugepagesize:'],
);
const table = fc.array(words, { maxLength: 24 }).map((parts) => parts.join(' '));

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;

/** @returns null when the text is refused with an error that says so */
function read<T>(parse: (text: string) => T, text: string): T | null {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof Error && error.constructor === Error) return null;
    throw error;
  }
}

it('100,000 texts give numbers that can be, or are refused', () => {
  fc.assert(
    fc.property(fc.oneof(table, fc.string({ maxLength: 60 })), (text) => {
      const routes = [...parseIpv4Routes(text), ...parseIpv6Routes(text)];
      const quota = parseCpuQuota(text);
      const memory = read(parseMemory, text);
      const counts = [
        read(parseCpuList, text)?.size ?? 1,
        read(parseCpuCount, text) ?? 1,
        ...(memory === null ? [] : [memory.totalKib, memory.availableKib, memory.hugePagesKib]),
        ...routes.map(({ metric }) => metric),
      ];
      return (
        counts.every(isCount) &&
        routes.every(({ interfaceName }) => isInterfaceName(interfaceName)) &&
        (quota === null || (Number.isFinite(quota) && quota > 0)) &&
        (memory === null || memory.availableKib <= memory.totalKib)
      );
    }),
    { numRuns: 100_000 },
  );
});
