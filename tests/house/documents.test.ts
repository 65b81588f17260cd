/** What the documents say of the tree is true: paths and commands. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { filesBelow, readText, ROOT } from './source-tree.js';

const documents = [
  'README.md',
  ...filesBelow('docs').filter((path) => path.endsWith('.md')),
  ...filesBelow('src').filter((path) => path.endsWith('.md')),
];

const { scripts } = JSON.parse(readText('package.json')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

/** Paths from the root that a text names, `*` and placeholders cut off. */
const pathsIn = (text: string): string[] =>
  [...text.matchAll(/(?<![\w/.~-])(?:\.\/)?((?:src|tests|docs|resources|bench|\.ci)\/[\w./-]*)/g)]
    .map((match) => match[1] ?? '')
    .map((path) => path.replace(/[.]+$/, ''));

/** Targets of links that stay inside the tree. */
const linksIn = (text: string): string[] =>
  [...text.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)]
    .map((match) => match[1] ?? '')
    .filter((target) => !/^[a-z]+:/.test(target));

describe('the documents', () => {
  it.each(documents)('%s names only paths that exist', (document) => {
    const text = readText(document);
    const named = pathsIn(text).filter((path) => !existsSync(join(ROOT, path)));
    const linked = linksIn(text).filter(
      (target) => !existsSync(join(ROOT, dirname(document), target)),
    );
    expect(
      [...named, ...linked].map((path) => `${document} names ${path}, which does not exist`),
    ).toEqual([]);
  });

  it.each(documents)('%s names only scripts that package.json has', (document) => {
    const named = [...readText(document).matchAll(/npm run ([\w:-]+)/g)].map((match) => match[1]!);
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
  });

  it('are found where the comments of the sources say', () => {
    const missing = filesBelow('src')
      .filter((path) => /\.(ts|lua|sql|mjs)$/.test(path))
      .flatMap((path) =>
        [...readText(path).matchAll(/\bdocs\/[\w/-]+\.md/g)]
          .filter((match) => !existsSync(join(ROOT, match[0])))
          .map((match) => `${path} names ${match[0]}, which does not exist`),
      );
    expect(missing).toEqual([]);
  });

  it('would notice a path that is wrong', () => {
    expect(pathsIn('see `src/model/nothing.ts`, docs/decisions/ and https://x.org/docs/y')).toEqual(
      ['src/model/nothing.ts', 'docs/decisions/'],
    );
    expect(linksIn('[a](../b.md#part) [c](https://x.org) [d](#e)')).toEqual(['../b.md']);
  });
});
