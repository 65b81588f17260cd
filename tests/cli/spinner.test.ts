/** The spinner: seen by who watches, gone when the work is done, and no danger to odd terminals. */
import { Writable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { withSpinner } from '../../src/cli/spinner.js';

/** A terminal of some width, as far as ora asks for one. */
class Terminal extends Writable {
  written = '';
  readonly isTTY = true;
  constructor(readonly columns: number) {
    super();
  }
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written += chunk.toString();
    done();
  }
  cursorTo(): boolean {
    return true;
  }
  moveCursor(): boolean {
    return true;
  }
  clearLine(): boolean {
    return true;
  }
}

const run = async (columns: number, isTty: boolean, work: () => Promise<string>) => {
  const stderr = new Terminal(columns);
  const context = { env: {}, stdout: new Terminal(columns), stderr, isTty };
  const outcome = await withSpinner(context, 'Hauling', work).catch(String);
  return { outcome, written: stderr.written };
};

const done = () => Promise.resolve('done');

describe('withSpinner', () => {
  it('shows what is waited for, and hands the result on', async () => {
    const { outcome, written } = await run(80, true, done);
    expect(outcome).toBe('done');
    expect(written).toContain('Hauling');
  });

  it('hands a failure on', async () => {
    const { outcome } = await run(80, true, () => Promise.reject(new Error('sunk')));
    expect(outcome).toBe('Error: sunk');
  });

  it('writes nothing when nobody watches', async () => {
    expect(await run(80, false, done)).toEqual({ outcome: 'done', written: '' });
  });

  it('writes nothing to a terminal without width', async () => {
    expect(await run(0, true, done)).toEqual({ outcome: 'done', written: '' });
  });
});
