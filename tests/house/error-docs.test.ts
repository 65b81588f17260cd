/** docs/errors.md explains exactly the codes that exist, in the words that Berth itself serves. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { ERROR_GUIDE } from '../../src/api/error-guide.js';
import { ERROR_CODES, type ErrorCode } from '../../src/model/errors.js';

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
const codes = Object.keys(ERROR_CODES) as ErrorCode[];

/** Text per heading, with lines joined however they were wrapped. */
const sections = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const [heading = '', ...lines] = section.split('\n');
      return [heading.trim(), lines.join(' ').replaceAll(/\s+/g, ' ')] as const;
    }),
);

describe('docs/errors.md', () => {
  it('has a heading for every code, and no other', () => {
    expect([...sections.keys()]).toEqual(codes);
  });

  it.each(codes)('says of %s what /docs/errors says', (code) => {
    const { when, remedy, adds } = ERROR_GUIDE[code];
    const section = sections.get(code);
    expect(section).toContain(`Status ${ERROR_CODES[code].status.toString()}. ${when}`);
    expect(section).toContain(remedy);
    if (adds !== undefined) expect(section).toContain(`Adds ${adds}`);
  });
});
