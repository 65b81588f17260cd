/** Bugs that the simulation has found, each as small as it can be shown. */
import { describe, expect, it } from '@jest/globals';
import type { AgentContact, VmOrder } from '../../src/model/ports.js';
import { DomainError } from '../../src/model/errors.js';
import { prngOf } from '../../src/std/prng.js';
import { World } from '../../src/sim/world.js';
import { changed } from './changed.js';

const UP_MS = 1_500;

describe('found by simulation', () => {
  it('an order that comes twice does not find room after it was refused', async () => {
    const refused: { readonly contact: AgentContact; readonly order: VmOrder }[] = [];
    const world = new World(prngOf('refused claim'), ({ agents }) => ({
      agents: changed(agents, {
        async ensureVm(contact, order) {
          if (refused.length > 0) return agents.ensureVm(contact, order);
          refused.push({ contact, order });
          throw new DomainError('claim_refused', 'No room.', { extra: { shortfalls: [] } });
        },
      }),
    }));
    await world.start();
    await world.clock.runUntil(UP_MS);
    const [replica] = world.replicas;
    void replica!.control.createVm({ id: 'vm-1', resources: { cpu: 1 } }, world.caller);
    await world.clock.runUntil(UP_MS + 10_000);
    const [first] = refused;
    const host = world.fleet.hosts.get(first!.contact.hostId);
    expect(() => host!.ensure(first!.order)).toThrow('out of date');
    expect(await world.catalogue.vm('vm-1')).toMatchObject({ state: 'running' });
    expect(world.violations.found).toEqual([]);
    world.stop();
  });

  it('a release that the ledger forgets is found, and the room is there again', async () => {
    const world = new World(prngOf('forgotten release'));
    await world.start();
    await world.clock.runUntil(UP_MS);
    const { control } = world.replicas[0]!;
    const input = { resources: { cpu: 2 }, expiresInS: 60, id: 'rsv-1' };
    const reserved = control.reserve(input, world.caller);
    await world.clock.runUntil(UP_MS + 2_000);
    await reserved;
    const forget = world.books.keep();
    const ended = control.endReservation('rsv-1', world.caller);
    await world.clock.runUntil(UP_MS + 2_200);
    await ended;
    expect(world.books.held.has('rsv-1')).toBe(false);
    forget();
    // Somebody's change takes the number that was lost, so that no number tells.
    for (const facts of world.books.hosts.values()) {
      world.books.setHost({ ...facts, revision: facts.revision + 1 });
    }
    expect(world.books.held.has('rsv-1')).toBe(true);
    await world.clock.runUntil(UP_MS + 20_000);
    expect(world.books.held.has('rsv-1')).toBe(false);
    world.stop();
  });

  it('hosts are looked at from the start on, though a rebuild was left half done', async () => {
    let looks = 0;
    const world = new World(prngOf('half a rebuild'), ({ catalogue }) => ({
      catalogue: changed(catalogue, {
        judgeLook(...args) {
          looks += 1;
          return catalogue.judgeLook(...args);
        },
      }),
    }));
    const aMinuteMs = 60_000;
    await world.catalogue.acquireLease('rebuild', 'who died at it', aMinuteMs);
    await world.start();
    await world.clock.runUntil(5_000);
    expect((await world.catalogue.epoch()).incarnation).toBe(null);
    expect(looks).toBeGreaterThan(0);
    world.stop();
  });
});
