/**
 * Which hosts go by a name. The catalogue lets no two hosts that are in use share one, but a copy
 * of it may show both for a moment, so a name leads to as many as there are.
 */
import type { HostRef } from '../model/decision.js';

const NOBODY: readonly string[] = [];

export class HostNames {
  readonly #ids = new Map<string, readonly string[]>();

  /** Ids of the hosts with this name. */
  idsOf(name: string): readonly string[] {
    return this.#ids.get(name) ?? NOBODY;
  }

  add({ id, name }: HostRef): void {
    this.#ids.set(name, [...this.idsOf(name), id]);
  }

  remove({ id, name }: HostRef): void {
    const left = this.idsOf(name).filter((one) => one !== id);
    if (left.length === 0) this.#ids.delete(name);
    else this.#ids.set(name, left);
  }

  clear(): void {
    this.#ids.clear();
  }
}
