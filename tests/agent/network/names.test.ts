/** Names, addresses, numbers and lines for tc: the parts that touch nothing. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  bridgeMacOf,
  hostMacOf,
  macOf,
  NUMBERS_MAX,
  numberOfTap,
  tagOf,
  tapName,
  uploadName,
} from '../../../src/agent/network/names.js';
import {
  bucketBytes,
  classGoneLine,
  downloadLines,
  filterGoneLine,
  filterHandle,
  numberOfClass,
  numberOfFilter,
  uploadLines,
  uploadTableLines,
} from '../../../src/agent/network/shaping.js';
import { subnetOf } from '../../../src/agent/network/subnet.js';
import { ID_PATTERN } from '../../../src/model/ids.js';

const anyNumber = fc.integer({ min: 0, max: NUMBERS_MAX });
const anyId = fc.stringMatching(ID_PATTERN);
const anyRate = fc.record({
  bytesPerS: fc.oneof(fc.integer({ min: 1, max: 1_000_000 }), fc.maxSafeNat()),
  burst: fc.double({ min: 0, max: 100, noNaN: true }),
});

describe('names of interfaces', () => {
  const tag = tagOf('/var/lib/berth/agent/network');

  it('are no longer than the kernel allows, and tell their number', () => {
    for (let number = 0; number <= NUMBERS_MAX; number += 1) {
      expect(tapName(number, tag).length).toBeLessThanOrEqual(15);
      expect(numberOfTap(tapName(number, tag), tag)).toBe(number);
    }
    expect(uploadName(tag).length).toBeLessThanOrEqual(15);
    expect(tag).toMatch(/^[0-9a-f]{6}$/);
  });

  it('are not taken for those of another agent', () => {
    const other = tagOf('/elsewhere');
    expect(other).not.toBe(tag);
    for (const name of [tapName(7, other), uploadName(tag), 'vm7', `vm07-${tag}`, 'eth0', '']) {
      expect(numberOfTap(name, tag)).toBeNull();
    }
  });
});

describe('hardware addresses', () => {
  it('are local ones of a single card, and the same for the same VM', () => {
    fc.assert(
      fc.property(anyId, (vmId) => {
        expect(macOf(vmId)).toMatch(/^02(:[0-9a-f]{2}){5}$/);
        expect(macOf(vmId)).toBe(macOf(vmId));
        // The bridge would take a lower one than its own as its own.
        expect(hostMacOf(vmId)).toBe(`fe${macOf(vmId).slice(2)}`);
      }),
    );
    expect(bridgeMacOf('berth0')).toMatch(/^02(:[0-9a-f]{2}){5}$/);
    expect(macOf('a')).not.toBe(macOf('A'));
  });
});

describe('buckets', () => {
  it.each([
    // 10 ms of the rate, at least 16 KiB, and 100 ms of what goes beyond it.
    [{ bytesPerS: 125_000_000, burst: 1 }, 1_250_000],
    [{ bytesPerS: 125_000_000, burst: 4 }, 38_750_000],
    [{ bytesPerS: 1_000_000, burst: 1 }, 16_384],
    [{ bytesPerS: 1_000_000, burst: 0 }, 16_384],
    [{ bytesPerS: 2_500_000, burst: 2 }, 275_000],
    [{ bytesPerS: Number.MAX_SAFE_INTEGER, burst: 4 }, 2 ** 31 - 1],
  ])('of %j hold %d bytes', (rate, bytes) => {
    expect(bucketBytes(rate)).toBe(bytes);
  });
});

describe('lines for tc', () => {
  it('hold words and numbers only, whatever the VM and its rate', () => {
    fc.assert(
      fc.property(anyId, anyNumber, anyRate, (vmId, number, rate) => {
        const tap = tapName(number, 'a1b2c3');
        const lines = [
          ...downloadLines(tap, rate),
          ...uploadTableLines('vmup-a1b2c3', false, false),
          ...uploadLines('vmup-a1b2c3', { tap, number, mac: macOf(vmId) }, rate),
        ];
        for (const line of lines) {
          expect(line).toMatch(
            /^(qdisc|class|filter) (add|replace) dev [a-z0-9-]+( [a-z0-9:-]+)+$/,
          );
          expect(line).not.toMatch(/NaN|Infinity|undefined|\de\+/);
        }
      }),
    );
  });

  it('name class and filter of a VM so that its number is found again', () => {
    fc.assert(
      fc.property(anyId, anyNumber, (vmId, number) => {
        const handle = filterHandle(number, macOf(vmId));
        expect(numberOfFilter(handle)).toBe(number);
        expect(filterGoneLine('up', handle)).toContain(` handle ${handle} u32`);
        const lines = uploadLines(
          'up',
          { tap: 'tap', number, mac: macOf(vmId) },
          { bytesPerS: 1, burst: 1 },
        );
        const minor = /classid 1:([0-9a-f]+) /.exec(lines[0] ?? '')?.[1] ?? '';
        expect(numberOfClass(minor)).toBe(number);
        expect(classGoneLine('up', minor)).toBe(`class del dev up classid 1:${minor}`);
      }),
    );
    // Those of strangers and of the table are no VM's.
    expect(numberOfClass('ffff')).toBeNull();
    for (const handle of ['1:', '800:', '800::800']) expect(numberOfFilter(handle)).toBeNull();
  });
});

describe('addresses of a subnet', () => {
  it.each([
    ['10.20.0.0/24', 1, '10.20.0.2', '10.20.0.1', 253],
    ['10.20.0.0/24', 253, '10.20.0.254', '10.20.0.1', 253],
    ['192.168.4.0/22', 300, '192.168.5.45', '192.168.4.1', 1021],
    ['10.0.0.4/30', 1, '10.0.0.6', '10.0.0.5', 1],
    ['255.0.0.0/8', 1000, '255.0.3.233', '255.0.0.1', 16_777_213],
  ])('%s: VM %d has %s behind %s; %d in all', (cidr, number, address, gateway, vmsMax) => {
    const subnet = subnetOf(cidr);
    const prefix = Number(cidr.split('/')[1]);
    expect(subnet).toMatchObject({ gateway, prefix, vmsMax });
    expect(subnet?.addressOf(number)).toEqual({ address, prefix, gateway });
  });

  it.each([
    '10.20.0.7/24',
    '10.20.0.0',
    '10.20.0.0/31',
    '10.0.0.0/7',
    '256.0.0.0/8',
    'fd00::/64',
    '',
  ])('are not guessed from %j', (cidr) => {
    expect(subnetOf(cidr)).toBeNull();
  });
});
