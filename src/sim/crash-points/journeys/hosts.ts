/** Hosts that come, fall silent, are closed, emptied and taken out. */
import type { Journey } from '../journey.js';
import type { Stage } from '../stage.js';

const DRAIN = { dryRun: false, reason: 'repair', owner: null };

/** Two VMs on the first host, whatever the others have. */
async function twoOnTheFirst(stage: Stage): Promise<void> {
  await stage.setMode('host-2', 'cordoned');
  await stage.running('vm-1', 'vm-2');
  await stage.setMode('host-2', 'enabled');
}

async function drain(stage: Stage): Promise<void> {
  await stage.must('drain', (control) => control.drainHost('host-1', DRAIN, stage.caller));
}

const drained = (stage: Stage): Promise<void> =>
  stage.until('the drain is done', async () => {
    return (await stage.world.catalogue.drain('host-1'))?.state === 'done';
  });

const join = async (stage: Stage, id: string, address?: string): Promise<void> => {
  const input = stage.world.joinOf(stage.host(id));
  await stage.must(`join ${id}`, (control) =>
    control.joinHost({ ...input, address: address ?? input.address }, stage.caller),
  );
};

const isIn = (stage: Stage, id: string, state: string): Promise<void> =>
  stage.until(`${id} is ${state}`, async () => {
    return (await stage.world.catalogue.host(id))?.state === state;
  });

async function hostIs(stage: Stage, id: string, mode: string): Promise<void> {
  const found = (await stage.world.catalogue.host(id))?.mode ?? 'gone';
  stage.expect(found === mode, () => `${id} is ${found}, not ${mode}`);
}

export const OF_HOSTS: readonly Journey[] = [
  {
    name: 'join',
    hosts: 1,
    run: async (stage) => {
      stage.world.addHost(stage.spec(2));
      await join(stage, 'host-2');
      await isIn(stage, 'host-2', 'up');
      await join(stage, 'host-2', 'http://host-2.moved');
    },
    check: async (stage) => {
      await hostIs(stage, 'host-2', 'enabled');
      const host = await stage.world.catalogue.host('host-2');
      stage.expect(host?.address === 'http://host-2.moved', () => 'host-2 is at its old address');
    },
  },
  {
    name: 'cordon',
    hosts: 2,
    run: async (stage) => {
      await stage.setMode('host-1', 'cordoned');
      await stage.create('vm-1');
      await stage.setMode('host-1', 'enabled');
      await stage.setMode('host-2', 'cordoned', 500);
      await stage.must('override', (control) =>
        control.patchHost('host-1', { overrides: { overcommit: { cpu: 2 } } }, stage.caller),
      );
      await stage.until('the cordon is over', async () => {
        return (await stage.world.catalogue.host('host-2'))?.mode === 'enabled';
      });
    },
    check: async (stage) => {
      await stage.ends('vm-1', 'running', 'host-2');
      await hostIs(stage, 'host-1', 'enabled');
      await hostIs(stage, 'host-2', 'enabled');
    },
  },
  {
    name: 'report-unasked',
    hosts: 1,
    prepare: (stage) => stage.running('vm-1'),
    run: async (stage) => {
      const host = stage.host('host-1');
      await stage.must('report', (control) => control.acceptStatus(host.status()));
      host.setPower('off');
      host.setPower('up');
      await stage.must('report', (control) => control.acceptStatus(host.status()));
    },
    check: (stage) => stage.ends('vm-1', 'running', 'host-1'),
  },
  {
    name: 'host-lost-and-back',
    hosts: 2,
    prepare: (stage) => twoOnTheFirst(stage),
    run: async (stage) => {
      stage.host('host-1').setPower('off');
      await stage.untilState('vm-2', 'unknown');
      await stage.create('vm-3');
      stage.host('host-1').setPower('up');
      await isIn(stage, 'host-1', 'up');
    },
    check: async (stage) => {
      await stage.ends('vm-1', 'running', 'host-1');
      await stage.ends('vm-2', 'running', 'host-1');
      await stage.ends('vm-3', 'running', 'host-2');
    },
  },
  {
    name: 'most-hosts-cut-off',
    hosts: 4,
    prepare: (stage) => stage.running('vm-1', 'vm-2'),
    run: async (stage) => {
      const cut = ['host-1', 'host-2', 'host-3'];
      for (const id of cut) stage.host(id).setPower('cut');
      await stage.sleep(7_000);
      // It is rather Berth that is cut off: so nothing follows from it.
      await stage.ends('vm-1', 'running');
      await stage.ends('vm-2', 'running');
      for (const id of cut) stage.host(id).setPower('up');
      for (const id of cut) await isIn(stage, id, 'up');
      await stage.create('vm-3', { whenFull: 'queue' });
    },
    check: (stage) => stage.ends('vm-3', 'running'),
  },
  {
    name: 'drain',
    hosts: 2,
    prepare: twoOnTheFirst,
    run: async (stage) => {
      await drain(stage);
      await drained(stage);
    },
    check: async (stage) => {
      await stage.ends('vm-1', 'running', 'host-2');
      await stage.ends('vm-2', 'running', 'host-2');
      await hostIs(stage, 'host-1', 'draining');
    },
  },
  {
    name: 'drain-refused',
    hosts: 3,
    prepare: async (stage) => {
      await stage.setMode('host-3', 'cordoned');
      await twoOnTheFirst(stage);
      await stage.setMode('host-3', 'enabled');
    },
    run: async (stage) => {
      stage.refusing.add('host-2');
      await drain(stage);
      await drained(stage);
      await stage.untilState('vm-1', 'running');
      await stage.untilState('vm-2', 'running');
    },
    check: async (stage) => {
      await stage.ends('vm-1', 'running', 'host-3');
      await stage.ends('vm-2', 'running', 'host-3');
    },
  },
  {
    name: 'drain-blocked',
    hosts: 2,
    prepare: async (stage) => {
      await twoOnTheFirst(stage);
      await stage.setMode('host-2', 'cordoned');
    },
    run: async (stage) => {
      await drain(stage);
      await stage.sleep(1_500);
      await stage.setMode('host-2', 'enabled');
      await drained(stage);
    },
    check: async (stage) => {
      await stage.ends('vm-1', 'running', 'host-2');
      await stage.ends('vm-2', 'running', 'host-2');
    },
  },
  {
    name: 'drain-cancelled',
    hosts: 2,
    prepare: twoOnTheFirst,
    run: async (stage) => {
      await drain(stage);
      await stage.sleep(20);
      await stage.must('cancel', (control) => control.cancelDrain('host-1', stage.caller));
    },
    check: async (stage) => {
      await stage.ends('vm-1', 'running', 'host-1', 'host-2');
      await stage.ends('vm-2', 'running', 'host-1', 'host-2');
      const { items } = await stage.world.catalogue.reservations({ limit: 10, cursor: null });
      stage.expect(items.length === 0, () => 'room of a cancelled move is still held');
    },
  },
  {
    name: 'retire',
    hosts: 2,
    prepare: twoOnTheFirst,
    run: async (stage) => {
      await drain(stage);
      await drained(stage);
      await stage.must('retire', (control) => control.retireHost('host-1', null, stage.caller));
      await stage.create('vm-3', { whenFull: 'queue' });
    },
    check: async (stage) => {
      await hostIs(stage, 'host-1', 'retired');
      await stage.ends('vm-3', 'running', 'host-2');
    },
  },
  {
    name: 'fence',
    hosts: 2,
    prepare: async (stage) => {
      await stage.setMode('host-2', 'cordoned');
      await stage.running('vm-1');
      await stage.create('vm-2', { onHostLoss: 'restart' });
      await stage.untilState('vm-2', 'running');
      await stage.setMode('host-2', 'enabled');
    },
    run: async (stage) => {
      const giveBack = stage.host('host-1').keepDark();
      await stage.untilState('vm-2', 'unknown');
      await stage.must('fence', (control) =>
        control.fenceHost('host-1', 'power is cut', stage.caller),
      );
      await stage.untilState('vm-2', 'running');
      stage.host('host-1').setPower('up');
      giveBack();
      await isIn(stage, 'host-1', 'up');
    },
    check: async (stage) => {
      await stage.ends('vm-1', 'running', 'host-1');
      await stage.ends('vm-2', 'running', 'host-2');
      const fence = (await stage.world.catalogue.host('host-1'))?.fence ?? null;
      stage.expect(fence === null, () => 'host-1 is fenced still');
    },
  },
  {
    name: 'retire-by-force',
    hosts: 2,
    prepare: twoOnTheFirst,
    run: async (stage) => {
      // The machine has burned down.
      stage.host('host-1').setPower('off');
      stage.world.fleet.hosts.delete('host-1');
      await stage.must('retire', (control) =>
        control.retireHost('host-1', { reason: 'burned down' }, stage.caller),
      );
      await stage.create('vm-3', { whenFull: 'queue' });
    },
    check: async (stage) => {
      await stage.ends('vm-1', 'failed', 'nowhere');
      await stage.ends('vm-2', 'failed', 'nowhere');
      await stage.ends('vm-3', 'running', 'host-2');
    },
  },
];
