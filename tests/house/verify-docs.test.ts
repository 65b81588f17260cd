/** docs/verify.md explains exactly the codes that exist, and says of each whether it is mended. */
import { describe, expect, it } from '@jest/globals';
import { FINDING_CODES, FINDING_REPAIRS } from '../../src/model/verify.js';
import { readText } from './source-tree.js';

const sections = new Map(
  readText('docs/verify.md')
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const [heading = '', ...lines] = section.split('\n');
      return [heading.trim(), lines.join(' ')] as const;
    }),
);

describe('docs/verify.md', () => {
  it('has a heading for every code, and no other', () => {
    expect([...sections.keys()]).toEqual(FINDING_CODES);
  });

  it.each(FINDING_CODES)('says of %s whether it is mended', (code) => {
    const text = sections.get(code) ?? '';
    expect(text.includes('**Repair:**')).toBe(FINDING_REPAIRS[code] !== null);
    expect(text.includes('**No repair')).toBe(FINDING_REPAIRS[code] === null);
    expect(text.includes('**Repair:** rebuild')).toBe(FINDING_REPAIRS[code] === 'rebuild');
  });
});
