/**
 * Does the simulation bite? Each bug here is put between the control plane and one of its ports, and
 * must be found within a few histories.
 */
import { describe, expect, it } from '@jest/globals';
import { hasCode } from '../../src/model/errors.js';
import type { HostFacts } from '../../src/model/host.js';
import { prngOf } from '../../src/std/prng.js';
import { runHistories } from '../../src/sim/run.js';
import type { Sabotage } from '../../src/sim/world.js';
import { changed } from './changed.js';

const HISTORIES_MAX = 80;

/** What a VM is like that has just come to wait. */
const NEWCOMER = {
  desiredState: 'running',
  state: 'waiting',
  host: null,
  allocation: null,
  reason: null,
  attempts: [],
  violations: [],
  waitUntil: null,
  movingTo: null,
  hasRun: false,
  createdAt: new Date(0),
  updatedAt: new Date(0),
} as const;

const tenfold = (facts: HostFacts): HostFacts => ({
  ...facts,
  limits: Object.fromEntries(Object.entries(facts.limits).map(([name, max]) => [name, max * 10])),
});

const BUGS: readonly (readonly [bug: string, rules: readonly string[], sabotage: Sabotage])[] = [
  [
    'a removal that was not answered counts as done',
    ['S15', 'S5'],
    ({ agents }) => ({
      agents: changed(agents, {
        removeVm: (...args) =>
          agents.removeVm(...args).catch((error: unknown) => {
            if (hasCode(error, 'agent_unreachable')) return true;
            throw error;
          }),
      }),
    }),
  ],
  [
    'a removal that has only begun counts as done',
    ['S15', 'S5'],
    ({ agents }) => ({
      agents: changed(agents, {
        async removeVm(...args) {
          await agents.removeVm(...args);
          return true;
        },
      }),
    }),
  ],
  [
    'an order goes to a second host, too',
    ['S5'],
    ({ agents, catalogue }) => {
      const chance = prngOf('second host');
      return {
        agents: changed(agents, {
          async ensureVm(contact, order) {
            const others = await catalogue.contacts();
            if (chance.chance(0.1)) {
              await agents.ensureVm(chance.pick(others), order).catch(() => null);
            }
            return agents.ensureVm(contact, order);
          },
        }),
      };
    },
  ],
  [
    'the ledger goes by limits that are not the hosts’',
    ['I1'],
    ({ ledger }) => ({
      ledger: changed(ledger, { pushHosts: (hosts) => ledger.pushHosts(hosts.map(tenfold)) }),
    }),
  ],
  [
    'what was recorded is forgotten',
    ['S7'],
    ({ catalogue }) => ({
      catalogue: changed(catalogue, {
        async enqueueVm({ spec, strategy, requestHash }) {
          const known = await catalogue.vmByRequest(spec.id);
          return known ?? { vm: { ...NEWCOMER, ...spec, strategy }, requestHash };
        },
      }),
    }),
  ],
  [
    'a delete is acknowledged and not done',
    ['S8'],
    ({ catalogue }) => ({
      catalogue: changed(catalogue, {
        want: async (id, desired, by) =>
          desired === 'deleted' ? catalogue.vm(id) : catalogue.want(id, desired, by),
      }),
    }),
  ],
  [
    'bookings are taken for unrecorded',
    ['L2'],
    ({ catalogue }) => ({
      catalogue: changed(catalogue, { recordedBookings: async () => new Map() }),
    }),
  ],
];

describe('the simulation finds that', () => {
  it.each(BUGS)(
    '%s',
    async (_bug, rules, sabotage) => {
      const run = { seed: 1, histories: HISTORIES_MAX, mode: null, failuresMax: 1, sabotage };
      const { failures } = await runHistories(run);
      const found = failures.flatMap(({ violations }) => violations.map(({ rule }) => rule));
      expect(rules).toContain(found[0]);
    },
    300_000,
  );
});
