/** The books: made anew, damaged, compared, repaired. */
import type { Table } from '../../catalogue/table.js';
import type { Journey } from '../journey.js';
import type { Stage } from '../stage.js';

const rebuild = async (stage: Stage): Promise<void> => {
  await stage.must('rebuild', (control) => control.rebuild({ dryRun: false }, stage.caller));
};

const believed = (stage: Stage): Promise<void> =>
  stage.until('the ledger is believed', async () => {
    const { incarnation } = await stage.world.catalogue.epoch();
    return incarnation !== null && stage.world.books.state.incarnation === incarnation;
  });

/** Changes a row behind everybody's back. */
function damage<Row extends object>(table: Table<Row>, key: string, change: Partial<Row>): void {
  const row = table.get(key);
  if (row !== undefined) table.put(key, { ...row, ...change });
}

/** Verifies and repairs until there is nothing to be found. */
const repair = (stage: Stage): Promise<void> =>
  stage.until('the books are right', async () => {
    const report = await stage.must('repair', (_control, _ports, books) =>
      books.repairBooks({ dryRun: false }, stage.caller),
    );
    return report?.findings.length === 0;
  });

export const OF_BOOKS: readonly Journey[] = [
  {
    name: 'rebuild',
    hosts: 2,
    prepare: (stage) => stage.running('vm-1', 'vm-2'),
    run: async (stage) => {
      await Promise.all([
        stage.must('compare', (control) => control.rebuild({ dryRun: true }, stage.caller)),
        rebuild(stage),
        stage.create('vm-3'),
        stage.delete('vm-1'),
      ]);
    },
    check: async (stage) => {
      await stage.isGone('vm-1');
      await stage.ends('vm-2', 'running');
      await stage.ends('vm-3', 'running');
    },
  },
  {
    name: 'ledger-flushed',
    hosts: 2,
    prepare: (stage) => stage.running('vm-1', 'vm-2'),
    run: async (stage) => {
      stage.world.books.flush();
      await Promise.all([stage.create('vm-3'), stage.delete('vm-1'), believed(stage)]);
    },
    check: async (stage) => {
      await stage.isGone('vm-1');
      await stage.ends('vm-2', 'running');
      await stage.ends('vm-3', 'running');
    },
  },
  {
    name: 'ledger-rolled-back',
    hosts: 2,
    prepare: (stage) => stage.running('vm-1'),
    run: async (stage) => {
      const restore = stage.world.books.keep();
      await stage.create('vm-2');
      await stage.delete('vm-1');
      await stage.until('it is gone', async () => (await stage.vm('vm-1')) === null);
      restore();
      await stage.create('vm-3');
    },
    check: async (stage) => {
      await stage.ends('vm-2', 'running');
      await stage.ends('vm-3', 'running');
    },
  },
  {
    name: 'ledger-drifts',
    hosts: 1,
    prepare: (stage) => stage.running('vm-1', 'vm-2'),
    run: async (stage) => {
      const { books } = stage.world;
      const held = books.held.get('vm-1');
      if (held !== undefined) books.release(held);
      await stage.until('it is counted again', () => books.held.has('vm-1'));
    },
    check: (stage) => stage.ends('vm-1', 'running'),
  },
  {
    name: 'repair-catalogue',
    hosts: 1,
    prepare: async (stage) => {
      await stage.running('vm-1', 'vm-2');
      const { vms, hosts } = stage.world.tables;
      damage(vms, 'vm-1', { state: 'failed', desiredState: 'stopped', hostId: null });
      damage(hosts, 'host-1', { allocated: {} });
      stage.host('host-1').vms.delete('vm-1');
    },
    run: repair,
    check: (stage) => stage.ends('vm-2', 'running', 'host-1'),
  },
  {
    name: 'repair-ledger',
    hosts: 1,
    prepare: (stage) => stage.running('vm-1'),
    run: async (stage) => {
      const { books } = stage.world;
      for (const held of books.held.values()) books.release(held);
      await repair(stage);
    },
    check: (stage) => stage.ends('vm-1', 'running', 'host-1'),
  },
];
