/** Replicas that begin, end, die and keep the lock for long. */
import type { Journey } from '../journey.js';

/** From then on a turn extends its lock. */
const LOCK_HALF_LIFE_MS = 1_600;

export const OF_REPLICAS: readonly Journey[] = [
  {
    name: 'start-up',
    hosts: 2,
    fromBoot: true,
    run: (stage) => stage.create('vm-1'),
    check: (stage) => stage.ends('vm-1', 'running'),
  },
  {
    name: 'shut-down',
    hosts: 2,
    prepare: (stage) => stage.running('vm-1'),
    run: async (stage) => {
      const [replica] = stage.world.replicas;
      const create = stage.create('vm-2', { whenFull: 'queue' });
      // A death on the way is one of the faults: then it never says that it is done.
      const stopped = replica?.control.stop();
      await Promise.race([stopped, stage.sleep(5_000)]);
      replica?.process.kill();
      await create;
    },
    check: (stage) => stage.ends('vm-2', 'running'),
  },
  {
    name: 'replica-dies',
    hosts: 2,
    run: async (stage) => {
      const create = stage.create('vm-1', { whenFull: 'queue' });
      stage.world.replicas[0]?.process.kill();
      await create;
      // Long enough for every lease of the dead one to go to another.
      await stage.sleep(6_000);
      await stage.create('vm-2');
    },
    check: async (stage) => {
      await stage.ends('vm-1', 'running');
      await stage.ends('vm-2', 'running');
    },
  },
  {
    name: 'lock-extended',
    hosts: 1,
    run: async (stage) => {
      const create = stage.create('vm-1', { whenFull: 'queue' });
      await stage.must('a long turn', async (_control, { ledger, clock }) => {
        const turn = await ledger.openTurn();
        await clock.sleep(LOCK_HALF_LIFE_MS);
        await turn.catchUp().finally(() => turn.end());
      });
      await create;
    },
    check: (stage) => stage.ends('vm-1', 'running'),
  },
];
