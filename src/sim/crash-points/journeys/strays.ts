/** VMs that run and are not recorded, or the reverse; and hosts that know newer numbers. */
import type { Journey } from '../journey.js';
import { SMALL, type Stage } from '../stage.js';

/** A VM that nobody has asked for runs on the first host, and two reports have said so. */
async function stray(stage: Stage): Promise<void> {
  stage.host('host-1').ensure({
    vmId: 'stray',
    name: 'stray',
    assignment: 1,
    resources: SMALL,
    image: null,
    users: [],
    overrides: { overcommit: {}, reserve: {} },
  });
  await stage.until('the stray is seen', async () => {
    return (await stage.world.catalogue.orphans()).length > 0;
  });
}

export const STRAYS: readonly Journey[] = [
  {
    name: 'catalogue-restored',
    hosts: 1,
    prepare: (stage) => stage.running('vm-1'),
    run: async (stage) => {
      // The host was told something under a number of which the backup knows nothing.
      stage.host('host-1').start('vm-1', 50);
      await stage.delete('vm-1');
    },
    check: (stage) => stage.isGone('vm-1'),
  },
  {
    name: 'missing-vm',
    hosts: 1,
    prepare: (stage) => stage.running('vm-1'),
    run: async (stage) => {
      stage.host('host-1').vms.delete('vm-1');
      await stage.untilState('vm-1', 'unknown');
      await stage.must('strays', (control) => control.strays());
      await stage.delete('vm-1');
    },
    check: (stage) => stage.isGone('vm-1'),
  },
  {
    name: 'orphan-adopted',
    hosts: 1,
    run: async (stage) => {
      await stray(stage);
      await stage.must(
        'adopt',
        (control) => control.adoptOrphan('host-1', 'stray', {}, stage.caller),
        ['not_found'],
      );
      await stage.create('vm-1');
    },
    check: async (stage) => {
      await stage.ends('stray', 'running', 'host-1');
      await stage.ends('vm-1', 'running');
    },
  },
  {
    name: 'orphan-destroyed',
    hosts: 1,
    run: async (stage) => {
      await stray(stage);
      // Nothing of it runs, so that it is gone at the first word.
      stage.host('host-1').stop('stray', 1);
      await stage.sleep(100);
      await stage.must(
        'destroy',
        (control) => control.destroyOrphan('host-1', 'stray', stage.caller),
        ['not_found'],
      );
      await stage.until('it is forgotten', async () => {
        return (await stage.world.catalogue.orphans()).length === 0;
      });
    },
    check: (stage) => {
      const isGone = !stage.host('host-1').vms.has('stray');
      stage.expect(isGone, () => 'an orphan is forgotten and still there');
      return Promise.resolve();
    },
  },
];
