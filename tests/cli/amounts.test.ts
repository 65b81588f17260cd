/** Sizes and counts as people write them, and as they are shown. */
import { describe, expect, it } from '@jest/globals';
import { collectAmount, parseCount, parseSizeMib, showAmount } from '../../src/cli/amounts.js';

describe('parseSizeMib', () => {
  it.each([
    ['2048', 2_048],
    ['1', 1],
    ['512MiB', 512],
    ['512M', 512],
    ['512Mi', 512],
    ['2GiB', 2_048],
    ['10G', 10_240],
    ['10g', 10_240],
    ['1.5GiB', 1_536],
    ['0.5G', 512],
    ['2 GiB', 2_048],
    ['1TiB', 1_048_576],
    ['1.5T', 1_572_864],
  ])('reads %s as %d MiB', (text, mib) => {
    expect(parseSizeMib(text)).toBe(mib);
  });

  it.each([
    ['', /such as/],
    ['GiB', /such as/],
    ['-1', /such as/],
    ['1e3', /such as/],
    ['1,5G', /such as/],
    ['0', /at least 1/],
    ['0GiB', /at least 1/],
    ['1.5', /whole number of MiB/],
    ['0.0001G', /whole number of MiB/],
    ['2GB', /write GiB/],
    ['2mb', /write MiB/],
    ['2K', /use MiB, GiB or TiB/],
    ['2 bananas', /use MiB, GiB or TiB/],
    ['9999999999999999', /too large/],
    ['9007199254740992', /too large/],
  ])('refuses %j', (text, message) => {
    expect(() => parseSizeMib(text)).toThrow(message);
  });
});

describe('parseCount', () => {
  it('reads whole numbers', () => {
    expect(parseCount('64')).toBe(64);
  });

  it.each(['', '0', '-1', '1.5', '1e2', '0x10', 'two', '9007199254740992'])(
    'refuses %j',
    (text) => {
      expect(() => parseCount(text)).toThrow();
    },
  );
});

describe('collectAmount', () => {
  it('gathers classes, with sizes where a class counts MiB', () => {
    expect(collectAmount('disk=2GiB', collectAmount('gpu=1'))).toEqual({ gpu: 1, disk: 2_048 });
  });

  it.each(['gpu', 'GPU=1', '=1', 'gpu=', 'gpu=many', 'constructor=1'])('refuses %j', (text) => {
    expect(() => collectAmount(text)).toThrow();
  });
});

describe('showAmount', () => {
  it.each([
    ['memory', 512, '512MiB'],
    ['memory', 1_024, '1GiB'],
    ['memory', 1_536, '1536MiB'],
    ['memory', 14_745, '14.4GiB'],
    ['memory', -2_048, '-2GiB'],
    ['disk', 1_572_864, '1.5TiB'],
    ['disk', 0, '0MiB'],
    ['cpu', 4, '4'],
    ['gpu', -1, '-1'],
  ])('shows %s %d as %s', (resource, amount, shown) => {
    expect(showAmount(resource, amount)).toBe(shown);
  });
});
