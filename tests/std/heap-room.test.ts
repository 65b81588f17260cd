/** How far the heap grows above what is in use. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { roomPercent } from '../../src/std/heap-room.js';

const MIB = 2 ** 20;

/** Keeps 100 MB, and makes garbage that lives long enough to be taken for lasting. */
const CHURN = `
  const kept = Array.from({ length: 400_000 }, (_, at) => ({ at, text: 'kept ' + at }));
  const lately = [];
  let most = 0;
  for (let round = 0; round < 300; round += 1) {
    lately.push(Array.from({ length: 20_000 }, (_, at) => ({ at, text: [at, round].join() })));
    if (lately.length > 10) lately.shift();
    most = Math.max(most, process.memoryUsage().heapTotal);
    await new Promise(setImmediate);
  }
  console.log(JSON.stringify({ kept: kept.length, most }));`;

async function mostMib(preparation: string): Promise<number> {
  const script = preparation + CHURN;
  const args = ['--import', 'tsx', '--input-type=module', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env: { PATH: process.env.PATH },
  });
  return (JSON.parse(stdout) as { readonly most: number }).most / MIB;
}

describe('the room of the heap', () => {
  it('is what is left to a modest heap, between a least and a most share', () => {
    expect(roomPercent(92.5 * MIB)).toBe(100);
    expect(roomPercent(74 * MIB)).toBe(150);
    expect(roomPercent(10 * MIB)).toBe(300);
    expect(roomPercent(150 * MIB)).toBe(40);
    expect(roomPercent(2_000 * MIB)).toBe(40);
  });

  it('keeps a process that makes much garbage smaller', async () => {
    const module = new URL('../../src/std/heap-room.ts', import.meta.url).href;
    const bound = `const { boundHeapRoom } = await import('${module}'); boundHeapRoom(0);`;
    const [free, kept] = await Promise.all([mostMib(''), mostMib(bound)]);
    expect(kept).toBeLessThan(free * 0.85);
  }, 60_000);
});
