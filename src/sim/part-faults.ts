/** Faults of whole parts: replicas that die or stand still, hosts that vanish, a ledger that forgets. */
import type { Prng } from '../std/prng.js';
import type { SimHost } from './agents-double.js';
import type { PartFault, PortName } from './faults.js';
import type { World } from './world.js';

const PORTS: readonly PortName[] = ['ledger', 'catalogue', 'agents'];

/** How long a part stays as it is, at most. */
const PAUSE_MS_MAX = 6_000;
const HOST_MS_MAX = 12_000;
const FLAP_MS = 2_000;

/** How many of its last moments a ledger loses. */
const ROLLBACK_MS_MAX = 1_500;

export class PartFaults {
  readonly #world: World;
  readonly #prng: Prng;
  #turns = 0;
  #isOver = false;

  constructor(world: World, prng: Prng) {
    this.#world = world;
    this.#prng = prng;
  }

  begin(): void {
    this.#turns += 1;
    // Each has chances of its own: one that is left out does not shift the others.
    const prng = this.#prng.fork(this.#turns.toString());
    const pauseMs = this.#world.faults.pauseMs(prng);
    if (pauseMs === null) return;
    this.#world.clock.at(pauseMs, () => {
      if (this.#isOver) return;
      const fault = this.#world.faults.drawPart(prng);
      if (fault !== null) this.#inject(fault, prng);
      this.begin();
    });
  }

  /** No more of them; what is broken stays so. */
  end(): void {
    this.#isOver = true;
  }

  /** From here on nothing fails, and everything that was broken is whole again. */
  heal(): void {
    const world = this.#world;
    this.end();
    world.faults.end();
    for (const { process } of world.replicas) process.heal();
    for (const host of world.fleet.hosts.values()) host.setPower('up');
    world.note('everything is healed');
  }

  #inject(fault: PartFault, prng: Prng): void {
    const { clock, books, fleet, replicas } = this.#world;
    const forAWhile = (maxMs: number, end: () => void) => {
      clock.at(prng.next() * maxMs, end);
    };
    const { process } = prng.pick(replicas);
    const host = prng.pick([...fleet.hosts.values()]);
    switch (fault) {
      case 'kill':
        process.kill();
        return;
      case 'pause':
        process.pause();
        forAWhile(PAUSE_MS_MAX, () => {
          process.resume();
        });
        return;
      case 'cut':
        process.cut(prng.pick(PORTS));
        forAWhile(PAUSE_MS_MAX, () => {
          process.heal();
        });
        return;
      case 'host-cut':
      case 'host-off':
        this.#world.note(`${host.spec.id} ${fault}`);
        host.setPower(fault === 'host-off' ? 'off' : 'cut');
        forAWhile(HOST_MS_MAX, () => {
          this.#world.note(`${host.spec.id} is back`);
          host.setPower('up');
        });
        return;
      case 'vanish':
        this.#vanish(prng);
        return;
      case 'flap':
        this.#flap(host, prng.between(2, 6));
        return;
      case 'flush':
        this.#world.note('the ledger is flushed');
        books.flush();
        return;
      case 'rollback': {
        const restore = books.keep();
        forAWhile(ROLLBACK_MS_MAX, () => {
          if (this.#isOver) return;
          this.#world.note('the ledger loses its last writes');
          restore();
        });
      }
    }
  }

  /** Hosts that are well are not reached by anybody for a while. */
  #vanish(prng: Prng): void {
    const { clock, fleet } = this.#world;
    const share = prng.pick([0.6, 1]);
    const well = [...fleet.hosts.values()].filter(({ power }) => power === 'up');
    const gone = well.slice(0, Math.ceil(well.length * share));
    this.#world.note(`${gone.length.toString()} hosts vanish`);
    for (const host of gone) host.setPower('cut');
    clock.at(prng.next() * HOST_MS_MAX, () => {
      this.#world.note('they are back');
      for (const host of gone) if (host.power === 'cut') host.setPower('up');
    });
  }

  /** A host goes and comes, each time for about as long as a look takes to see it. */
  #flap(host: SimHost, times: number): void {
    if (this.#isOver || times === 0) return;
    const { clock } = this.#world;
    this.#world.note(`${host.spec.id} flaps`);
    if (host.power === 'up') host.setPower('cut');
    clock.at(FLAP_MS, () => {
      if (host.power === 'cut') host.setPower('up');
      clock.at(FLAP_MS, () => {
        this.#flap(host, times - 1);
      });
    });
  }
}
