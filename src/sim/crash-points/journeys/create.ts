/** Creates: alone, in batches, twice, with no room, and with patience. */
import type { CreateVmInput } from '../../../control/control.js';
import type { Journey } from '../journey.js';
import { SMALL, type Stage } from '../stage.js';

/** As much as one host has. */
const WHOLE = { cpu: 4, memory: 4_096, disk: 1_024 };

const TOO_MUCH = { cpu: 99, memory: 512, disk: 1_024 };

const batchOf = (
  ...cpus: readonly number[]
): readonly (CreateVmInput & { readonly id: string })[] =>
  cpus.map((cpu, at) => ({ id: `vm-${(at + 1).toString()}`, resources: { ...SMALL, cpu } }));

async function createAll(stage: Stage, ...cpus: readonly number[]) {
  const inputs = batchOf(...cpus);
  return stage.ask('create all', (control) =>
    control.createVms(inputs, { partial: false }, stage.caller),
  );
}

export const CREATES: readonly Journey[] = [
  {
    name: 'create',
    hosts: 2,
    run: async (stage) => {
      await stage.create('vm-1');
      await stage.must('wait', (control) =>
        control.waitForVm('vm-1', 3_000, new AbortController().signal),
      );
    },
    check: (stage) => stage.ends('vm-1', 'running'),
  },
  {
    name: 'create-elsewhere',
    hosts: 2,
    run: async (stage) => {
      stage.refusing.add('host-1');
      await stage.create('vm-1');
      await stage.untilState('vm-1', 'running');
    },
    check: (stage) => stage.ends('vm-1', 'running', 'host-2'),
  },
  {
    name: 'create-refused-everywhere',
    hosts: 2,
    run: async (stage) => {
      stage.refusing.add('host-1').add('host-2');
      await stage.create('vm-1');
      await stage.untilState('vm-1', 'failed');
    },
    check: (stage) => stage.ends('vm-1', 'failed', 'nowhere'),
  },
  {
    name: 'create-no-room',
    hosts: 2,
    run: (stage) =>
      stage.mustNot('create', 'no_feasible_host', (control) =>
        control.createVm({ id: 'vm-1', resources: TOO_MUCH }, stage.caller),
      ),
    check: (stage) => stage.isGone('vm-1'),
  },
  {
    name: 'create-twice',
    hosts: 2,
    run: async (stage) => {
      await Promise.all([stage.create('vm-1'), stage.create('vm-1')]);
      await stage.create('vm-1');
      await stage.mustNot('create another', 'id_conflict', (control) =>
        control.createVm({ id: 'vm-1', resources: { ...SMALL, cpu: 2 } }, stage.caller),
      );
    },
    check: (stage) => stage.ends('vm-1', 'running'),
  },
  {
    name: 'create-batch',
    hosts: 2,
    run: async (stage) => {
      const made = await createAll(stage, 1, 2, 3);
      stage.expect('ok' in made, () => 'a batch with room was refused');
      for (const id of ['vm-1', 'vm-2', 'vm-3']) stage.world.auditor.accept(id);
    },
    check: async (stage) => {
      for (const id of ['vm-1', 'vm-2', 'vm-3']) await stage.ends(id, 'running');
    },
  },
  {
    name: 'create-batch-none',
    hosts: 2,
    run: async (stage) => {
      const made = await createAll(stage, 1, 1, 99);
      const isRefused = 'refused' in made && made.refused === 'no_feasible_host';
      stage.expect(isRefused, () => 'a batch without room was granted');
    },
    check: async (stage) => {
      for (const id of ['vm-1', 'vm-2', 'vm-3']) await stage.isGone(id);
    },
  },
  {
    name: 'create-batch-partial',
    hosts: 2,
    run: async (stage) => {
      const inputs = batchOf(1, 99, 1);
      await stage.must('create some', async (control) => {
        const outcomes = await control.createVms(inputs, { partial: true }, stage.caller);
        // Those that were refused for a passing reason are asked for again, as the others may be.
        for (const each of outcomes) {
          if (each.status === 'refused' && each.error.status >= 500) throw each.error;
        }
      });
      for (const id of ['vm-1', 'vm-3']) stage.world.auditor.accept(id);
    },
    check: async (stage) => {
      for (const id of ['vm-1', 'vm-3']) await stage.ends(id, 'running');
      await stage.isGone('vm-2');
    },
  },
  {
    name: 'wait-for-room',
    hosts: 1,
    prepare: async (stage) => {
      await stage.create('vm-1', { resources: WHOLE });
      await stage.untilState('vm-1', 'running');
    },
    run: async (stage) => {
      await stage.create('vm-2', { whenFull: 'queue' });
      await stage.create('vm-3', { whenFull: 'queue' });
      await stage.delete('vm-1');
      await stage.untilState('vm-3', 'running');
    },
    check: async (stage) => {
      await stage.isGone('vm-1');
      await stage.ends('vm-2', 'running', 'host-1');
      await stage.ends('vm-3', 'running', 'host-1');
    },
  },
  {
    name: 'wait-in-vain',
    hosts: 1,
    run: async (stage) => {
      await stage.create('vm-1', { resources: TOO_MUCH, whenFull: 'queue', deadlineS: 1 });
      await stage.untilState('vm-1', 'failed');
    },
    check: (stage) => stage.ends('vm-1', 'failed', 'nowhere'),
  },
];
