/** The catalogue on the embedded PostgreSQL: its contract, and one process at a time. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCatalogue } from '../../src/catalogue/catalogue.js';
import { silentLog } from '../support/log.js';
import { expectBalanced, placedVm, upHost } from './builders.js';
import { describeCatalogue } from './catalogue-contract.js';

/** It has to make its files first, in a program that is compiled at every start. */
const OPEN_LIMIT_MS = 120_000;

const open = (pgliteDir: string) =>
  openCatalogue({ pgliteDir }, { log: silentLog, missingGraceMs: 0 });

const newFolder = () => mkdtemp(join(tmpdir(), 'berth-pglite-'));
const remove = (folder: string) => rm(folder, { recursive: true, force: true });

describeCatalogue(
  'PGlite',
  async () => {
    const folder = await newFolder();
    const catalogue = await open(join(folder, 'catalogue'));
    return {
      catalogue,
      async close() {
        await catalogue.close();
        await remove(folder);
      },
    };
  },
  OPEN_LIMIT_MS,
);

describe('the embedded catalogue', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await newFolder();
  });
  afterAll(() => remove(folder));

  it(
    'lets everything else have its turn between two statements',
    async () => {
      const catalogue = await open(join(folder, 'busy'));
      let turns = 0;
      let busy = true;
      const turn = () => {
        turns += 1;
        if (busy) setImmediate(turn);
      };
      setImmediate(turn);
      const statements = 50;
      for (let said = 0; said < statements; said += 1) await catalogue.waitingLine();
      busy = false;
      await catalogue.close();
      expect(turns).toBeGreaterThanOrEqual(statements - 1);
    },
    OPEN_LIMIT_MS,
  );

  it(
    'is there again after a close, for one opener at a time',
    async () => {
      const directory = join(folder, 'catalogue');
      const first = await open(directory);
      const host = await upHost(first);
      const vm = await placedVm(first, host);
      await expect(open(directory)).rejects.toThrow(/is in use by process \d+/);
      await first.close();

      const second = await open(directory);
      expect(await second.vm(vm.id)).toEqual(vm);
      await expectBalanced(second, [host.id]);
      await second.close();
    },
    OPEN_LIMIT_MS,
  );
});
