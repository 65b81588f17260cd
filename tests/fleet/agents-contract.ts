/**
 * What every implementation of `Agents`, with the agent behind it, must do. Run over the real
 * client and a real agent; a double used elsewhere is held to the same.
 */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AgentVm } from '../../src/model/agent-report.js';
import { DomainError } from '../../src/model/errors.js';
import type { AgentContact, Agents, VmOrder } from '../../src/model/ports.js';
import type { Resources } from '../../src/model/resources.js';

export interface AgentsUnderTest {
  readonly agents: Agents;
  readonly contact: AgentContact;
  /** What one VM asks for. */
  readonly small: Resources;
  /** How many of them the host has room for. */
  readonly room: number;
  /** Lets time pass until the VM is in this state. */
  reach(vmId: string, state: AgentVm['state']): Promise<void>;
  close(): Promise<void>;
}

/** The failure of a call that must fail. */
export async function failureOf(call: Promise<unknown>): Promise<DomainError> {
  const thrown: unknown = await call.then(
    (value) => new Error(`it was answered: ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  if (thrown instanceof DomainError) return thrown;
  throw thrown;
}

export function describeAgents(name: string, factory: () => Promise<AgentsUnderTest>): void {
  describe(`contract of Agents: ${name}`, () => {
    let under: AgentsUnderTest;
    const orderOf = (vmId: string, assignment: number): VmOrder => ({
      vmId,
      overrides: {},
      name: vmId,
      assignment,
      resources: under.small,
      image: null,
      users: [],
    });
    const ensure = (vmId: string, assignment: number) =>
      under.agents.ensureVm(under.contact, orderOf(vmId, assignment));
    const remove = async (vmId: string, assignment: number) => {
      while (!(await under.agents.removeVm(under.contact, vmId, assignment)));
    };
    const reported = async () => (await under.agents.status(under.contact)).vms;

    beforeEach(async () => {
      under = await factory();
    });
    afterEach(async () => {
      await under.close();
    });

    it('obeys no order that was meant for another start of the machine', async () => {
      const { bootId } = await under.agents.status(under.contact);
      const before = { ...under.contact, bootId: 'the-start-before' };
      const order = orderOf('vm-1', 1);
      for (const call of [
        () => under.agents.ensureVm(before, order),
        () => under.agents.startVm(before, 'vm-1', 1),
        () => under.agents.stopVm(before, 'vm-1', 1),
        () => under.agents.removeVm(before, 'vm-1', 1),
      ]) {
        const failure = await failureOf(call());
        expect([failure.code, failure.extra.agentCode]).toEqual([
          'agent_refused',
          'state_conflict',
        ]);
      }
      expect(await reported()).toEqual([]);
      const now = { ...under.contact, bootId };
      expect(await under.agents.ensureVm(now, order)).toMatchObject({ id: 'vm-1' });
    });

    it('gives a VM its whole life', async () => {
      expect(await ensure('vm-1', 1)).toMatchObject({ id: 'vm-1', assignment: 1, reason: null });
      await under.reach('vm-1', 'running');
      await under.agents.stopVm(under.contact, 'vm-1', 1);
      await under.reach('vm-1', 'stopped');
      await under.agents.startVm(under.contact, 'vm-1', 1);
      await under.reach('vm-1', 'running');
      await remove('vm-1', 1);
      expect(await reported()).toEqual([]);
    });

    it('does every order once, however often it is given', async () => {
      await ensure('vm-1', 1);
      await ensure('vm-1', 1);
      await under.reach('vm-1', 'running');
      expect(await ensure('vm-1', 1)).toMatchObject({ state: 'running' });
      await under.agents.stopVm(under.contact, 'vm-1', 1);
      await under.reach('vm-1', 'stopped');
      expect(await under.agents.stopVm(under.contact, 'vm-1', 1)).toMatchObject({
        state: 'stopped',
      });
      await remove('vm-1', 1);
      await remove('vm-1', 1);
      expect(await reported()).toEqual([]);
    });

    it('stops a VM by force at once, also one that is stopping already', async () => {
      const force = () => under.agents.stopVm(under.contact, 'vm-1', 1, { force: true });
      await ensure('vm-1', 1);
      await under.reach('vm-1', 'running');
      await under.agents.stopVm(under.contact, 'vm-1', 1);
      expect(await force()).toMatchObject({ state: 'stopped' });
      expect(await force()).toMatchObject({ state: 'stopped' });
      await under.agents.startVm(under.contact, 'vm-1', 1);
      await under.reach('vm-1', 'running');
      expect(await force()).toMatchObject({ state: 'stopped' });
      expect(await reported()).toMatchObject([{ id: 'vm-1', state: 'stopped' }]);
    });

    it('counts a VM once: repeats do not fill the host', async () => {
      for (let repeat = 0; repeat < under.room + 2; repeat += 1) await ensure('vm-1', 1);
      for (let n = 2; n <= under.room; n += 1) await ensure(`vm-${n.toString()}`, n);
      expect(await reported()).toHaveLength(under.room);
    });

    it('refuses what does not fit, with the amounts', async () => {
      for (let n = 1; n <= under.room; n += 1) await ensure(`vm-${n.toString()}`, n);
      const refusal = await failureOf(ensure('one-too-many', 99));
      expect(refusal.code).toBe('claim_refused');
      const { shortfalls } = refusal.extra as { shortfalls: { resource: string }[] };
      expect(shortfalls.length).toBeGreaterThan(0);
      for (const short of shortfalls) {
        expect(short).toEqual({
          resource: short.resource,
          requested: under.small[short.resource],
          available: expect.any(Number),
          limit: expect.any(Number),
        });
      }
    });

    it('has the room again once a VM is gone', async () => {
      for (let n = 1; n <= under.room; n += 1) await ensure(`vm-${n.toString()}`, n);
      await remove('vm-1', 1);
      expect(await ensure('next', 99)).toMatchObject({ id: 'next' });
    });

    it('I9: obeys no order older than the newest it has seen', async () => {
      await ensure('vm-1', 5);
      for (const call of [
        () => ensure('vm-1', 4),
        () => under.agents.startVm(under.contact, 'vm-1', 4),
        () => under.agents.stopVm(under.contact, 'vm-1', 4),
        () => under.agents.stopVm(under.contact, 'vm-1', 4, { force: true }),
        () => under.agents.removeVm(under.contact, 'vm-1', 4),
      ]) {
        const refusal = await failureOf(call());
        expect([refusal.code, refusal.extra]).toEqual(['stale_assignment', { newest: 5 }]);
      }
      expect(await reported()).toHaveLength(1);
    });

    it('I9: a late order cannot bring a removed VM back, a newer one can', async () => {
      await ensure('vm-1', 5);
      await remove('vm-1', 5);
      expect((await failureOf(ensure('vm-1', 5))).code).toBe('stale_assignment');
      expect(await reported()).toEqual([]);
      expect(await ensure('vm-1', 6)).toMatchObject({ assignment: 6 });
    });

    it('I9: the removal of a VM that never came keeps it from coming', async () => {
      await remove('vm-1', 5);
      expect((await failureOf(ensure('vm-1', 5))).code).toBe('stale_assignment');
    });

    it('keeps a VM that is assigned anew', async () => {
      await ensure('vm-1', 5);
      await under.reach('vm-1', 'running');
      expect(await ensure('vm-1', 7)).toMatchObject({ assignment: 7, state: 'running' });
      expect((await failureOf(under.agents.removeVm(under.contact, 'vm-1', 5))).code).toBe(
        'stale_assignment',
      );
    });

    it('says that it has no such VM', async () => {
      expect(await under.agents.startVm(under.contact, 'nobody', 1)).toBeNull();
      expect(await under.agents.stopVm(under.contact, 'nobody', 1)).toBeNull();
      expect(await under.agents.stopVm(under.contact, 'nobody', 1, { force: true })).toBeNull();
      expect(await under.agents.removeVm(under.contact, 'nobody', 1)).toBe(true);
    });

    it('reports its host and its VMs', async () => {
      await ensure('vm-1', 1);
      const status = await under.agents.status(under.contact);
      expect(status.hostId).toBe(under.contact.hostId);
      for (const resource of Object.keys(under.small)) {
        expect(status.totals[resource]?.total).toBeGreaterThan(0);
      }
      expect(status.vms).toEqual([
        expect.objectContaining({ id: 'vm-1', assignment: 1, resources: under.small }),
      ]);
    });
  });
}
