/** Bugs of the control plane: how it reads an answer, a silence, a clock. */
import { DomainError } from '../../../src/model/errors.js';
import type { Catalogue, HostPoll } from '../../../src/model/ports.js';
import type { Ports } from '../../../src/control/ports.js';
import type { BrokenParts } from '../../../src/sim/world.js';
import { prngOf } from '../../../src/std/prng.js';
import { changed } from '../changed.js';
import { mostVanish } from './hard-times.js';
import type { WorldBug } from './seeded-bug.js';

const seenThrough =
  (changes: (catalogue: Catalogue, ports: Ports) => Partial<Catalogue>) => (): BrokenParts => ({
    ports: (ports) => ({ catalogue: changed(ports.catalogue, changes(ports.catalogue, ports)) }),
  });

const down = (poll: HostPoll): HostPoll => ({ ...poll, state: 'down', status: null });

/** Three periods and a little: a host of which nothing was heard for so long is taken for dead. */
const DEAD_AFTER_MS = 7_000;

const UNWRITTEN_SHARE = 0.2;
const NO_ANSWER = new DomainError('catalogue_unavailable', 'The catalogue does not answer.');

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

export const CONTROL_BUGS: readonly WorldBug[] = [
  {
    name: 'one-miss-is-dead',
    what: 'one poll without an answer makes a host down',
    rules: ['L5'],
    sabotage: seenThrough((real) => ({
      saveHostPolls: (polls) =>
        real.saveHostPolls(polls.map((poll) => (poll.status === null ? down(poll) : poll))),
    })),
  },
  {
    name: 'no-breaker',
    what: 'however many hosts go missing at once, they are taken for down',
    rules: ['S22'],
    sabotage: () => ({
      ...seenThrough((real) => ({
        judgeLook: (look, rules) => real.judgeLook(look, { ...rules, share: 1 }),
      }))(),
      begin: mostVanish,
    }),
  },
  {
    name: 'health-by-wall-clock',
    what: 'whether a host is alive is judged by the wall clocks of two machines',
    rules: ['L5', 'L1'],
    sabotage: seenThrough((real, { clock }) => ({
      async saveHostPolls(polls) {
        const judged = polls.map(async (poll) => {
          const heardAt = (await real.host(poll.hostId))?.lastSeenAt?.getTime();
          return heardAt !== undefined && clock.now() - heardAt > DEAD_AFTER_MS ? down(poll) : poll;
        });
        return real.saveHostPolls(await Promise.all(judged));
      },
    })),
  },
  {
    name: 'other-body-accepted',
    what: 'the same id with another body gets the first one’s answer',
    rules: ['S9'],
    sabotage: () => ({
      control: (control, { catalogue }) => ({
        ...control,
        async createVm(input, by) {
          const known = input.id === undefined ? null : await catalogue.vm(input.id);
          return known ?? control.createVm(input, by);
        },
      }),
    }),
  },
  {
    name: 'only-logged',
    what: 'a catch that only logs: a delete that was not written down is acknowledged',
    rules: ['S8'],
    sabotage() {
      const prng = prngOf('unwritten');
      return seenThrough((real) => ({
        want(id, desired, by) {
          const isLost = prng.chance(UNWRITTEN_SHARE);
          const written = isLost ? Promise.reject(NO_ANSWER) : real.want(id, desired, by);
          return written.catch((error: unknown) => {
            if (error instanceof DomainError && error.status >= 500) return real.vm(id);
            throw error;
          });
        },
      }))();
    },
  },
  {
    name: 'forgotten-record',
    what: 'a VM that waits is kept in memory alone',
    rules: ['S7', 'S9'],
    sabotage: seenThrough((real) => ({
      async enqueueVm({ spec, strategy, requestHash }) {
        const known = await real.vmByRequest(spec.id);
        return known ?? { vm: { ...NEWCOMER, ...spec, strategy }, requestHash };
      },
    })),
  },
];
