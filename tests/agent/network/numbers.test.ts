/** The numbers of VMs: kept over restarts, given in turn, never twice. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openVmNumbers } from '../../../src/agent/network/numbers.js';
import { temporaryDir } from '../agent-fixture.js';

let directory: string;
beforeEach(async () => {
  directory = await temporaryDir();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('numbers of VMs', () => {
  it('begin at 1, and are the same when asked for again, after a restart too', async () => {
    const numbers = await openVmNumbers(directory, 10);
    expect([await numbers.give('a'), await numbers.give('b'), await numbers.give('a')]).toEqual([
      1, 2, 1,
    ]);
    const again = await openVmNumbers(directory, 10);
    expect([again.of('a'), again.of('b'), again.of('c')]).toEqual([1, 2, null]);
    expect(await again.give('c')).toBe(3);
  });

  it('that were given back come last', async () => {
    const numbers = await openVmNumbers(directory, 3);
    await numbers.give('a');
    await numbers.give('b');
    await numbers.takeBack('a');
    await numbers.takeBack('a');
    const again = await openVmNumbers(directory, 3);
    expect([await again.give('c'), await again.give('d')]).toEqual([3, 1]);
    await expect(again.give('e')).rejects.toThrow('has room for 3 VMs');
    expect(again.vmIds()).toEqual(['b', 'c', 'd']);
  });

  it('are not taken for given when they could not be written down', async () => {
    const numbers = await openVmNumbers(join(directory, 'in'), 10);
    await rm(join(directory, 'in'), { recursive: true });
    await expect(numbers.give('a')).rejects.toThrow('ENOENT');
    expect(numbers.of('a')).toBeNull();
    await mkdir(join(directory, 'in'));
    await numbers.give('a');
    await rm(join(directory, 'in'), { recursive: true });
    await expect(numbers.takeBack('a')).rejects.toThrow('ENOENT');
    expect(numbers.of('a')).toBe(2);
  });

  it.each([
    'nonsense',
    '{"format":2,"last":1,"numbers":{}}',
    '{"format":1,"last":1,"numbers":{"a":1,"b":1}}',
    '{"format":1,"last":1,"numbers":{"a":-1}}',
  ])('are not begun anew over a file that says %s', async (text) => {
    await writeFile(join(directory, 'numbers.json'), text);
    await expect(openVmNumbers(directory, 10)).rejects.toThrow('numbers.json cannot be read');
    expect(await readFile(join(directory, 'numbers.json'), 'utf8')).toBe(text);
  });
});
