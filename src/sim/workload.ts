/**
 * What people and programs ask of the control plane in a history: one client after another, each with
 * one wish. Which wish, and when, depends on nothing else that happens.
 */
import type { Prng } from '../std/prng.js';
import { Client, Doings, WISHES, type ClientParts, type Wish } from './client.js';

export type WorkloadParts = Omit<ClientParts, 'name'>;

const WEIGHTS = WISHES.reduce((sum, [, weight]) => sum + weight, 0);

export class Workload {
  readonly #parts: WorkloadParts;
  readonly #without: ReadonlySet<number>;
  readonly #doings = new Doings();
  readonly #draws: Prng;
  #clients = 0;
  #underWay = 0;
  #isOver = false;

  /** @param without clients that are left out, by the number of their turn */
  constructor(parts: WorkloadParts, without: ReadonlySet<number>) {
    this.#parts = parts;
    this.#draws = parts.prng.fork('draws');
    this.#without = without;
  }

  /** Calls that have no answer yet. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Clients whose turn has come. */
  get clients(): number {
    return this.#clients;
  }

  /** Begins to ask, a wish after each pause. */
  begin(pauseMsMax: number): void {
    const { clock } = this.#parts;
    const next = () => {
      if (this.#isOver) return;
      const wish = this.#draw();
      if (!this.#without.has(this.#clients)) void this.#ask(wish);
      this.#clients += 1;
      clock.at(this.#draws.next() * pauseMsMax, next);
    };
    clock.at(0, next);
  }

  end(): void {
    this.#isOver = true;
  }

  #draw(): Wish {
    let left = this.#draws.next() * WEIGHTS;
    for (const [wish, weight] of WISHES) {
      left -= weight;
      if (left < 0) return wish;
    }
    return 'create';
  }

  async #ask(wish: Wish): Promise<void> {
    const name = this.#clients.toString();
    const prng = this.#parts.prng.fork(`client ${name}`);
    this.#underWay += 1;
    await new Client({ ...this.#parts, name, prng }, this.#doings).carryOut(wish);
    this.#underWay -= 1;
  }
}
