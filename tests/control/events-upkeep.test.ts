/** The chores of events and audit log: how far they go, and when they stop. */
import { describe, expect, it } from '@jest/globals';
import { eventChores } from '../../src/control/events-upkeep.js';
import type { Ports } from '../../src/control/ports.js';
import { TESTER } from '../support/callers.js';
import { placedVm, upHost } from '../catalogue/builders.js';
import { openCatalogue } from '../../src/catalogue/catalogue.js';
import { DEFAULT_POLICY } from '../support/hosts.js';
import { silentLog } from '../support/log.js';
import { freshDatabase } from '../support/postgres.js';

const LONG_MS = 600_000;

const runAll = async (catalogue: Ports['catalogue'], keep: Parameters<typeof eventChores>[1]) => {
  for (const chore of eventChores({ catalogue }, keep)) await chore.run();
};

describe('the chores of events', () => {
  it('put everything in order and forget only what is old', async () => {
    const catalogue = await openCatalogue(
      { databaseUrl: await freshDatabase() },
      { log: silentLog, capacity: DEFAULT_POLICY },
    );
    try {
      const host = await upHost(catalogue);
      const vm = await placedVm(catalogue, host);
      await catalogue.want(vm.id, 'deleted', TESTER);
      const count = async () => {
        const events = await catalogue.events({ after: 0, upTo: 1_000, filter: {}, limit: 1_000 });
        const { items } = await catalogue.audit({ limit: 100, cursor: null });
        return { events: events.length, entries: items.length };
      };
      expect(await count()).toMatchObject({ events: 0 });
      await runAll(catalogue, { eventsMs: LONG_MS, auditMs: LONG_MS });
      const { events, entries } = await count();
      // Joined, up, made, unwanted; of these somebody asked for two.
      expect({ events, entries }).toEqual({ events: 4, entries: 2 });
      await runAll(catalogue, { eventsMs: -LONG_MS, auditMs: LONG_MS });
      expect(await count()).toEqual({ events: 0, entries });
      await runAll(catalogue, { eventsMs: LONG_MS, auditMs: -LONG_MS });
      expect(await count()).toEqual({ events: 0, entries: 0 });
    } finally {
      await catalogue.close();
    }
  });

  it('do not take for ever when there is always more', async () => {
    let calls = 0;
    const endless = () => {
      calls += 1;
      return Promise.resolve(5_000);
    };
    const catalogue = {
      sequenceEvents: async () => {
        await endless();
        return { head: { position: calls, key: '' }, more: true };
      },
      purgeEvents: endless,
      purgeAudit: endless,
    } as Partial<Ports['catalogue']> as Ports['catalogue'];
    await runAll(catalogue, { eventsMs: 1, auditMs: 1 });
    expect(calls).toBe(300);
  });
});
