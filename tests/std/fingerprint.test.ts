/** Fingerprints: equal values, equal prints, whatever the order of keys. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fingerprint } from '../../src/std/fingerprint.js';

describe('fingerprint', () => {
  it('does not see the order of keys or members that are undefined', () => {
    expect(fingerprint({ a: 1, b: { c: [1, { d: 2, e: 3 }] } })).toBe(
      fingerprint({ b: { c: [1, { e: 3, d: 2 }] }, a: 1, gone: undefined }),
    );
  });

  it('sees every other difference', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (left, right) => {
        const same = JSON.stringify(left) === JSON.stringify(right);
        if (same) expect(fingerprint(left)).toBe(fingerprint(right));
        else if (typeof left !== 'object' || typeof right !== 'object') {
          expect(fingerprint(left)).not.toBe(fingerprint(right));
        }
      }),
    );
    expect(fingerprint([1, 2])).not.toBe(fingerprint([2, 1]));
  });
});
