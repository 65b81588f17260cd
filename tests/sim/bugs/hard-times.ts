/** What befalls a world again and again so that a bug shows soon. A sound control plane bears it all. */
import type { Agents, Clock, Ledger } from '../../../src/model/ports.js';
import type { World } from '../../../src/sim/world.js';
import { prngOf } from '../../../src/std/prng.js';
import { changed } from '../changed.js';

const EVERY_MS = 500;

/** What a ledger forgets of its last moments. */
const FORGOTTEN_MS = 300;

function often(world: World, what: () => void): void {
  world.clock.at(EVERY_MS, () => {
    if (world.faults.isActive) what();
    often(world, what);
  });
}

/** The ledger loses its last writes. */
export const ledgersForget = (world: World): void => {
  often(world, () => {
    world.clock.at(FORGOTTEN_MS, world.books.keep());
  });
};

/** As often as hosts are looked at. */
const FLAP_MS = 2_000;

/** Two hosts go and come twice, whatever else is healed meanwhile. */
export const hostsFlap = (world: World): void => {
  const flapping = [...world.fleet.hosts.values()].slice(0, 2);
  (['cut', 'up', 'cut', 'up'] as const).forEach((power, at) => {
    world.clock.at(FLAP_MS * (at + 1), () => {
      for (const host of flapping) host.setPower(power);
    });
  });
};

/** Longer than it takes a host to go down. */
const GONE_MS = 30_000;

/** Most hosts are not reached any more, from a time on when all of them are up. */
export const mostVanish = (world: World): void => {
  world.clock.at(FLAP_MS, () => {
    const hosts = [...world.fleet.hosts.values()];
    const gone = hosts.slice(0, Math.ceil(hosts.length * GONE_SHARE));
    for (const host of gone) host.setPower('cut');
    world.clock.at(GONE_MS, () => {
      for (const host of gone) host.setPower('up');
    });
  });
};

const GONE_SHARE = 0.7;

/** An operator has the ledger rebuilt. */
export const operatorsRebuild = (world: World): void => {
  often(world, () => {
    const [replica] = world.replicas;
    replica?.control.rebuild({ dryRun: false }, world.caller).catch(() => undefined);
  });
};

const REPEATED_SHARE = 0.2;
const REPEATED_AFTER_MS = 1_500;

/** Releases that come once more. */
export function releasesRepeated<Fleet>(ledger: Ledger<Fleet>, clock: Clock): Ledger<Fleet> {
  const prng = prngOf('repeats');
  return changed(ledger, {
    release(bookings) {
      if (prng.chance(REPEATED_SHARE)) {
        void clock
          .sleep(REPEATED_AFTER_MS)
          .then(() => ledger.release(bookings))
          .catch(() => undefined);
      }
      return ledger.release(bookings);
    },
  });
}

/** Orders that come once more when they have long been answered. */
export function ordersRepeated(agents: Agents, clock: Clock): Agents {
  const prng = prngOf('repeats');
  return changed(agents, {
    ensureVm(contact, order) {
      if (prng.chance(REPEATED_SHARE)) {
        void clock
          .sleep(REPEATED_AFTER_MS)
          .then(() => agents.ensureVm(contact, order))
          .catch(() => undefined);
      }
      return agents.ensureVm(contact, order);
    },
  });
}
