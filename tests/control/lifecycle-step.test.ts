/** What one answer of an agent makes of a VM, where a whole fleet would be much ado. */
import { expect, it } from '@jest/globals';
import { carryOut } from '../../src/control/lifecycle-step.js';
import type { Finding } from '../../src/control/finding.js';
import type { Ports } from '../../src/control/ports.js';
import type { Scheduler } from '../../src/control/scheduler.js';
import { DomainError } from '../../src/model/errors.js';
import type { Agents, WorkItem } from '../../src/model/ports.js';
import { ASSIGNMENT_BELIEVED_MAX } from '../../src/model/stores/orphans.js';
import { modelVm } from '../support/control-double.js';

const HOST = { id: 'host-1', name: 'host-1' };

/** A stop that an agent refuses because it knows a newer assignment, as it says. */
function stopRefusedFor(newest: number, tries: number): Promise<Finding> {
  const agents: Partial<Agents> = {
    stopVm: () =>
      Promise.reject(new DomainError('stale_assignment', 'A newer one.', { extra: { newest } })),
  };
  const ports: Partial<Ports> = { agents: agents as Agents, random: () => 1 };
  const item: WorkItem = {
    lease: 'lease-1',
    vm: modelVm({
      state: 'running',
      desiredState: 'stopped',
      hasRun: true,
      host: HOST,
      allocation: { bookingId: 'booking-1', assignment: 7 },
    }),
    contact: { hostId: HOST.id, address: 'http://127.0.0.1:9', credential: 'c', ip: null },
    overrides: {},
    tries,
  };
  const scheduler: Partial<Scheduler> = {};
  return carryOut(
    { ports: ports as Ports, scheduler: scheduler as Scheduler, attemptsMax: 3 },
    item,
  );
}

it('goes above what a host was told before, once it has said so twice', async () => {
  expect(await stopRefusedFor(70_000, 0)).toMatchObject({ progress: { failedTry: true } });
  expect(await stopRefusedFor(70_000, 1)).toEqual({ kind: 'renew', above: 70_000 });
});

it('takes its time with a host that says what no host can have been told', async () => {
  const finding = await stopRefusedFor(ASSIGNMENT_BELIEVED_MAX + 1, 5);
  expect(finding).toMatchObject({
    kind: 'progress',
    progress: { failedTry: true, reason: { code: 'stale_assignment' } },
  });
  // With a pause that grows with the tries, and not at once.
  expect(finding.kind === 'progress' ? finding.progress.nextInMs : 0).toBeGreaterThan(5_000);
});
