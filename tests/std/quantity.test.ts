/** Sizes and rates: what each text means, what is refused, and that no text at all breaks the readers. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseLinkSpeed, parseRate, parseSize, QuantityError } from '../../src/std/quantity.js';

const GIB = 1024 ** 3;

describe('rates', () => {
  it.each([
    ['1Gbps', 125_000_000],
    ['10Gbps', 1_250_000_000],
    ['100Mbps', 12_500_000],
    ['1000kbps', 125_000],
    ['1gbps', 125_000_000],
    ['1GBPS', 125_000_000],
    ['1 Gbps', 125_000_000],
    [' 1Gbps ', 125_000_000],
    ['1\tGbps', 125_000_000],
    ['1Gbps\n', 125_000_000],
    ['1G bps', 125_000_000],
    ['1Tbps', 125_000_000_000],
    ['2.5Gbps', 312_500_000],
    ['1Gbit/s', 125_000_000],
    ['8bps', 1],
    ['15bps', 1],
    ['100bps', 12],
    ['0', 0],
    ['0bps', 0],
    ['0Gbps', 0],
    ['100', 100],
    ['10B', 10],
    ['10b', 10],
    ['125MB', 131_072_000],
    ['1GB', GIB],
    ['1GB/s', GIB],
    ['1 GB/s', GIB],
    ['1GB /s', GIB],
    ['1GB/S', GIB],
    ['1gigabyte/s', GIB],
    ['125MB/s', 131_072_000],
    ['500MB/s', 524_288_000],
    ['2GB/s', 2 * GIB],
    ['1GiB/s', GIB],
    ['1kb', 1024],
    ['1K', 1024],
    ['1PB', 2 ** 50],
    ['0.5GB/s', GIB / 2],
  ])('%j is %d bytes per second', (text, bytes) => {
    expect(parseRate(text)).toBe(bytes);
  });

  it.each([
    ['1GBps', /may mean bits or bytes: write Gbps for bits, GB\/s for bytes/],
    ['125MBps', /Mbps for bits, MB\/s for bytes/],
    ['1Gb/s', /may mean bits or bytes/],
    ['1gb/s', /may mean bits or bytes: write gB\/s for bytes, gbps for bits/],
    ['1mb/s', /may mean bits or bytes/],
    ['1 kb /s', /may mean bits or bytes/],
    ['1mib/s', /may mean bits or bytes/],
    ['1Gb', /may mean bits or bytes/],
    ['500Gb', /may mean bits or bytes/],
    ['1Kb', /may mean bits or bytes/],
    ['1Mib', /may mean bits or bytes/],
    ['-1Gbps', /must not be negative/],
    ['-1', /must not be negative/],
    ['10000000000Gbps', /is too large/],
    ['8EB', /is too large/],
    ['18446744073709551616', /is too large/],
    ['9007199254740992', /is too large/],
    ['7bps', /is less than one byte/],
    ['', /is empty/],
    ['   ', /is empty/],
    ['+1Gbps', /is not a rate/],
    ['invalid', /is not a rate/],
    ['bps', /is not a rate/],
    ['/s', /is not a rate/],
    ['٣Gbps', /is not a rate/],
    ['１Gbps', /is not a rate/],
    ['1e9', /is not known/],
    ['1_000', /is not known/],
    ['1,000Mbps', /is not known/],
    ['0x10', /is not known/],
    ['1Gbps/s', /is not known/],
    ['1GB/s/s', /is not known/],
    ['1GB/sec', /is not known/],
    ['1ggbps', /is not known/],
    ['1qbps', /is not known/],
    ['1ps', /is not known/],
    ['10s', /is not known/],
    ['.5GB/s', /is not a rate/],
  ])('%j is refused: %s', (text, why) => {
    expect(() => parseRate(text)).toThrow(why);
    expect(() => parseRate(text)).toThrow(QuantityError);
  });
});

describe('sizes', () => {
  it.each([
    ['500GB', 536_870_912_000],
    ['500gb', 536_870_912_000],
    ['500 GB', 536_870_912_000],
    ['500G', 536_870_912_000],
    [' 1GB', GIB],
    ['1.5TB', 1.5 * 2 ** 40],
    ['64GiB', 64 * GIB],
    ['3megabytes', 3 * 2 ** 20],
    ['0', 0],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('%j is %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each([
    ['500Gb', /may mean bits or bytes: write GB for bytes/],
    ['1Gbps', /is a rate; a size is such as 500GB/],
    ['1GB/s', /is a rate/],
    ['-5GB', /must not be negative/],
    ['8192PB', /is too large/],
    ['0.0000001B', /is less than one byte/],
    ['', /is empty/],
    ['lots', /is not a size/],
    [`${'9'.repeat(400)}GB`, /is not known|is too large/],
  ])('%j is refused: %s', (text, why) => {
    expect(() => parseSize(text)).toThrow(why);
  });

  it('cuts a long text in its message', () => {
    expect(() => parseSize(`x${'y'.repeat(5_000)}`)).toThrow(/^.{1,120}$/);
  });
});

describe('the speed of a link', () => {
  it.each([
    ['10000\n', 1_250_000_000],
    ['1000', 125_000_000],
    ['25000', 3_125_000_000],
    ['-1\n', null],
    ['0', null],
    ['abc', null],
    ['', null],
  ])('%j', (text, bytes) => {
    expect(parseLinkSpeed(text)).toBe(bytes);
  });
});

/** Texts of the kind that nearly are amounts, and any others. */
const likely = fc
  .tuple(
    fc.constantFrom('', ' ', '-', '+', '0', '1', '12', '999999999999999999999', '1.5', '.', '1e9'),
    fc.constantFrom('', ' ', '\t', ',', '_'),
    fc.constantFrom('', 'k', 'K', 'M', 'g', 'G', 'Ti', 'P', 'E', 'giga', 'q'),
    fc.constantFrom('', 'b', 'B', 'bps', 'Bps', 'BPS', 'bit', 'byte', 'bytes', 'it/s'),
    fc.constantFrom('', '/s', '/S', ' /s', 'ps', '/sec', '\n', '\0'),
  )
  .map((parts) => parts.join(''));

it('100,000 texts are an amount or are refused, and nothing else', () => {
  const text = fc.oneof(likely, fc.string({ maxLength: 40 }), fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(text, (value) => {
      for (const parse of [parseRate, parseSize]) {
        try {
          const amount = parse(value);
          if (!Number.isSafeInteger(amount) || amount < 0) return false;
        } catch (error) {
          if (!(error instanceof QuantityError)) return false;
        }
      }
      const speed = parseLinkSpeed(value);
      return speed === null || (Number.isSafeInteger(speed) && speed > 0);
    }),
    { numRuns: 100_000 },
  );
});
