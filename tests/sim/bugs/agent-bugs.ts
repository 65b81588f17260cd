/** Bugs of host agents, and of how they are spoken to. */
import { DomainError, hasCode } from '../../../src/model/errors.js';
import type { AgentContact, VmOrder } from '../../../src/model/ports.js';
import { SimHost } from '../../../src/sim/agents-double.js';
import type { BrokenParts } from '../../../src/sim/world.js';
import { prngOf } from '../../../src/std/prng.js';
import { changed } from '../changed.js';
import { ordersRepeated } from './hard-times.js';
import type { WorldBug } from './seeded-bug.js';

/** Does whatever it is told, however old the order is. */
class Obedient extends SimHost {
  override ensure(order: VmOrder) {
    this.newest.delete(order.vmId);
    return super.ensure(order);
  }

  override start(vmId: string, assignment: number) {
    this.newest.delete(vmId);
    return super.start(vmId, assignment);
  }

  override stop(vmId: string, assignment: number) {
    this.newest.delete(vmId);
    return super.stop(vmId, assignment);
  }

  override remove(vmId: string, assignment: number) {
    this.newest.delete(vmId);
    return super.remove(vmId, assignment);
  }
}

/** Keeps the numbers of its orders in memory, and is started anew now and then. */
class Forgetful extends SimHost {
  constructor(...made: ConstructorParameters<typeof SimHost>) {
    super(...made);
    const [, clock] = made;
    const restart = () => {
      this.newest.clear();
      clock.at(RESTART_EVERY_MS, restart);
    };
    clock.at(RESTART_EVERY_MS, restart);
  }
}

const RESTART_EVERY_MS = 700;

/** Forgets a VM with its last trace. */
class Tombless extends SimHost {
  override remove(vmId: string, assignment: number) {
    const isGone = super.remove(vmId, assignment);
    if (isGone) this.newest.delete(vmId);
    return isGone;
  }
}

/** Says of its neighbours' VMs, too, how they are; and is believed. */
const believedOfOthers = (): BrokenParts => {
  const fleet: SimHost[] = [];
  class Gossip extends SimHost {
    override status() {
      const status = super.status();
      const others = fleet.filter((one) => one !== this).flatMap((one) => [...one.vms.values()]);
      const said = others.slice(0, 2).map(({ id, assignment, resources }) => ({
        ...{ id, assignment, resources, reason: null },
        state: 'stopped' as const,
      }));
      return { ...status, vms: [...status.vms, ...said] };
    }
  }
  return {
    host(...made) {
      const one = new Gossip(...made);
      fleet.push(one);
      return one;
    },
    catalogue: ({ catalogue, tables }) =>
      changed(catalogue, {
        reportVms(hostId, report, vms, reading) {
          const answer = catalogue.reportVms(hostId, report, vms, reading);
          for (const { id, state } of vms) {
            const row = tables.vms.get(id);
            if (row !== undefined && row.hostId !== hostId) tables.vms.put(id, { ...row, state });
          }
          tables.journal.commit();
          return answer;
        },
      }),
  };
};

const host = (Host: typeof SimHost) => (): BrokenParts => ({
  ports: ({ agents, clock }) => ({ agents: ordersRepeated(agents, clock) }),
  host: (...made) => new Host(...made),
});

const never = () => new Promise<never>(() => undefined);

/** Of polls. */
const HUNG_SHARE = 0.05;

const SECOND_HOST_SHARE = 0.1;

export const AGENT_BUGS: readonly WorldBug[] = [
  {
    name: 'obeys-old-orders',
    what: 'an agent does not look at the number of an order',
    rules: ['S6', 'S5', 'S8'],
    sabotage: host(Obedient),
  },
  {
    name: 'forgets-orders-at-restart',
    what: 'an agent that starts anew has forgotten the numbers of its orders',
    rules: ['S6', 'S5', 'S8'],
    sabotage: host(Forgetful),
  },
  {
    name: 'no-tombstone',
    what: 'an agent forgets the number of a VM once it is removed',
    rules: ['S6', 'S5', 'S8'],
    sabotage: host(Tombless),
  },
  {
    name: 'silence-is-gone',
    what: 'a removal that was not answered counts as done',
    rules: ['S15', 'S5'],
    sabotage: () => ({
      ports: ({ agents }) => ({
        agents: changed(agents, {
          removeVm: (...args) =>
            agents.removeVm(...args).catch((error: unknown) => {
              if (hasCode(error, 'agent_unreachable')) return true;
              throw error;
            }),
        }),
      }),
    }),
  },
  {
    name: 'begun-is-gone',
    what: 'a removal that has only begun counts as done',
    rules: ['S15', 'S5'],
    sabotage: () => ({
      ports: ({ agents }) => ({
        agents: changed(agents, {
          async removeVm(...args) {
            await agents.removeVm(...args);
            return true;
          },
        }),
      }),
    }),
  },
  {
    name: 'second-host',
    what: 'an order goes to a second host, too',
    rules: ['S5', 'S8'],
    sabotage() {
      const prng = prngOf('second host');
      return {
        ports: ({ agents, catalogue }) => ({
          agents: changed(agents, {
            async ensureVm(contact, order) {
              const others = await catalogue.contacts();
              if (prng.chance(SECOND_HOST_SHARE)) {
                await agents.ensureVm(prng.pick(others), order).catch(() => null);
              }
              return agents.ensureVm(contact, order);
            },
          }),
        }),
      };
    },
  },
  {
    name: 'host-by-prefix',
    what: 'host-1 is also found as host-10',
    rules: ['S5', 'S8', 'S11', 'S15', 'L1', 'L2'],
    sabotage: () => ({
      ports: ({ agents, catalogue }) => {
        const longest = async ({ hostId }: AgentContact) => {
          const alike = (await catalogue.contacts()).filter((one) => one.hostId.startsWith(hostId));
          return alike.sort((a, b) => b.hostId.length - a.hostId.length)[0]!;
        };
        return {
          agents: changed(agents, {
            ensureVm: async (contact, order) => agents.ensureVm(await longest(contact), order),
          }),
        };
      },
    }),
  },
  {
    name: 'hung-agent',
    what: 'a call to an agent that hangs has no end, and the loop waits for it',
    rules: ['L5', 'L1', 'L2'],
    sabotage() {
      const prng = prngOf('hung agent');
      return {
        ports: ({ agents }) => ({
          agents: changed(agents, {
            status: (contact) => (prng.chance(HUNG_SHARE) ? never() : agents.status(contact)),
          }),
        }),
      };
    },
  },
  {
    name: 'believed-of-others',
    what: 'what an agent says of VMs of other hosts is believed',
    rules: ['foreign'],
    sabotage: believedOfOthers,
  },
  {
    name: 'secret-in-error',
    what: 'the error of a call tells what the agent is known by',
    rules: ['secret'],
    sabotage: () => ({
      ports: ({ agents }) => ({
        agents: changed(agents, {
          ensureVm: (contact, order) =>
            agents.ensureVm(contact, order).catch((error: unknown) => {
              if (!(error instanceof DomainError)) throw error;
              throw new DomainError(error.code, `${error.message} (${JSON.stringify(contact)})`);
            }),
        }),
      }),
    }),
  },
];
