/** What happens to VMs that are there: deletes, power, reservations. */
import type { Journey } from '../journey.js';
import { SMALL, type Stage } from '../stage.js';

const TOO_MUCH = { cpu: 99, memory: 512, disk: 1_024 };

const power = async (stage: Stage, verb: 'startVm' | 'stopVm'): Promise<void> => {
  await stage.must(verb, (control) => control[verb]('vm-1', stage.caller));
};

const reserve = async (stage: Stage, expiresInS: number): Promise<void> => {
  await stage.must('reserve', (control) =>
    control.reserve({ id: 'rsv-1', resources: SMALL, expiresInS }, stage.caller),
  );
};

async function nothingReserved(stage: Stage): Promise<void> {
  const { items } = await stage.world.catalogue.reservations({ limit: 10, cursor: null });
  stage.expect(items.length === 0, () => `${items.length.toString()} reservations are left`);
}

export const OF_VMS: readonly Journey[] = [
  {
    name: 'delete',
    hosts: 1,
    prepare: (stage) => stage.running('vm-1'),
    run: (stage) => stage.delete('vm-1'),
    check: (stage) => stage.isGone('vm-1'),
  },
  {
    name: 'delete-at-once',
    hosts: 2,
    run: async (stage) => {
      await stage.create('vm-1');
      await stage.delete('vm-1');
    },
    check: (stage) => stage.isGone('vm-1'),
  },
  {
    name: 'delete-waiting',
    hosts: 1,
    run: async (stage) => {
      await stage.create('vm-1', { resources: TOO_MUCH, whenFull: 'queue' });
      await stage.delete('vm-1');
    },
    check: (stage) => stage.isGone('vm-1'),
  },
  {
    name: 'stop-and-start',
    hosts: 1,
    prepare: (stage) => stage.running('vm-1'),
    run: async (stage) => {
      await power(stage, 'stopVm');
      await stage.untilState('vm-1', 'stopped');
      await power(stage, 'startVm');
      await stage.untilState('vm-1', 'running');
      await power(stage, 'stopVm');
    },
    check: (stage) => stage.ends('vm-1', 'stopped', 'host-1'),
  },
  {
    name: 'stop-by-force',
    hosts: 1,
    prepare: (stage) => stage.running('vm-1'),
    run: async (stage) => {
      await stage.must('stop by force', (control) =>
        control.stopVm('vm-1', stage.caller, { force: true }),
      );
    },
    check: (stage) => stage.ends('vm-1', 'stopped', 'host-1'),
  },
  {
    name: 'reserve-and-consume',
    hosts: 1,
    run: async (stage) => {
      await reserve(stage, 60);
      await stage.create('vm-1', { reservation: 'rsv-1' });
    },
    check: async (stage) => {
      await stage.ends('vm-1', 'running');
      await nothingReserved(stage);
    },
  },
  {
    name: 'reserve-and-end',
    hosts: 1,
    run: async (stage) => {
      await reserve(stage, 60);
      await stage.must(
        'end the reservation',
        (control) => control.endReservation('rsv-1', stage.caller),
        ['not_found'],
      );
    },
    check: nothingReserved,
  },
  {
    name: 'reserve-and-expire',
    hosts: 1,
    run: async (stage) => {
      await reserve(stage, 1);
      await stage.until('the reservation is over', async () => {
        const { items } = await stage.world.catalogue.reservations({ limit: 1, cursor: null });
        return items.length === 0;
      });
    },
    check: nothingReserved,
  },
];
