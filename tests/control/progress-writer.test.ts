/** How findings are gathered on their way to the catalogue. */
import { describe, expect, it } from '@jest/globals';
import { ProgressWriter } from '../../src/control/progress-writer.js';
import type { Catalogue, WorkItem } from '../../src/model/ports.js';
import { modelVm } from '../support/control-double.js';

const FOUND = { state: 'running', reason: null, nextInMs: null } as const;

const itemOf = (id: string): WorkItem => ({
  lease: 'lease',
  vm: { ...modelVm(), id },
  contact: null,
  overrides: {},
  tries: 0,
});

/** Writes are answered, and pauses end, when the test says so. */
function fixture() {
  const writes: { readonly ids: readonly string[]; answer(error?: Error): void }[] = [];
  const pauses: { end(): void }[] = [];
  const catalogue: Pick<Catalogue, 'saveProgress'> = {
    saveProgress: (found) =>
      new Promise((resolve, reject) => {
        const ids = found.map(({ vmId }) => vmId);
        writes.push({
          ids,
          answer: (error) => {
            if (error === undefined) resolve(new Set(ids));
            else reject(error);
          },
        });
      }),
  };
  const sleep = () => new Promise<void>((end) => pauses.push({ end }));
  const writer = new ProgressWriter(catalogue, { sleep });
  const save = (id: string) => writer.save(itemOf(id), FOUND);
  const answer = async (error?: Error) => {
    writes.at(-1)?.answer(error);
    await new Promise(setImmediate);
  };
  return { writes, pauses, save, answer };
}

describe('progress', () => {
  it('of one that comes alone is written at once, and the next as well', async () => {
    const { writes, pauses, save, answer } = fixture();
    const first = save('one');
    expect(writes.map(({ ids }) => ids)).toEqual([['one']]);
    await answer();
    expect(await first).toBe(true);
    void save('two');
    expect(writes).toHaveLength(2);
    expect(pauses).toEqual([]);
  });

  it('that comes during a write is gathered, and after one of several for a moment', async () => {
    const { writes, pauses, save, answer } = fixture();
    const all = ['one', 'two', 'three'].map(save);
    await answer();
    expect(writes.map(({ ids }) => ids)).toEqual([['one'], ['two', 'three']]);
    await answer();
    all.push(save('four'), save('five'));
    expect(writes).toHaveLength(2);
    pauses[0]?.end();
    await new Promise(setImmediate);
    expect(writes.at(-1)?.ids).toEqual(['four', 'five']);
    await answer();
    expect(await Promise.all(all)).toEqual([true, true, true, true, true]);
  });

  it('of a full write is not paused for', async () => {
    const { writes, pauses, save, answer } = fixture();
    for (let index = 0; index < 600; index += 1) void save(`vm-${index.toString()}`);
    await answer();
    await answer();
    expect(writes.map(({ ids }) => ids.length)).toEqual([1, 256, 256]);
    expect(pauses).toEqual([]);
    await answer();
    expect(pauses).toHaveLength(1);
    pauses[0]?.end();
    await answer();
    expect(writes.map(({ ids }) => ids.length)).toEqual([1, 256, 256, 87]);
  });

  it('that could not be written fails alone: the next is tried', async () => {
    const { writes, save, answer } = fixture();
    const lost = save('one');
    const next = save('two');
    const failure = expect(lost).rejects.toThrow('no answer');
    await answer(new Error('no answer'));
    await failure;
    expect(writes.at(-1)?.ids).toEqual(['two']);
    await answer();
    expect(await next).toBe(true);
  });
});
