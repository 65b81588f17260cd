/** Watches the agents of a cluster: is a VM ever known to two of them at once? */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Agent } from '../../src/agent/agent.js';

const PAUSE_MS = 10;

/** VM ids by agent, in the order in which the agents were asked. */
type Round = readonly ReadonlySet<string>[];

export class Sightings {
  readonly #agents: readonly Agent[];
  readonly #twice = new Set<string>();
  #rounds = 0;
  #stopped = false;
  #watching: Promise<void>;

  /** Begins to watch. Agents that join the list later are not watched. */
  constructor(agents: readonly Agent[]) {
    this.#agents = [...agents];
    this.#watching = this.#watch();
  }

  /** How often every agent was asked. */
  get rounds(): number {
    return this.#rounds;
  }

  /** Ends the watch. @returns the VMs that two agents knew at once */
  async end(): Promise<readonly string[]> {
    this.#stopped = true;
    await this.#watching;
    return [...this.#twice];
  }

  async #watch(): Promise<void> {
    let before: Round = [];
    while (!this.#stopped) {
      const now: ReadonlySet<string>[] = [];
      for (const agent of this.#agents) now.push(await vmsAt(agent));
      this.#rounds += 1;
      for (const id of onTwo(before, now)) this.#twice.add(id);
      before = now;
      await sleep(PAUSE_MS);
    }
  }
}

/**
 * Agents are asked one after another, and a VM may move in between. It was certainly on two hosts
 * when one named it in two rounds, and another one did between those two answers.
 */
export function onTwo(before: Round, now: Round): readonly string[] {
  const found: string[] = [];
  before.forEach((vms, at) => {
    for (const id of vms) {
      if (now[at]?.has(id) !== true) continue;
      const later = before.slice(at + 1).some((others) => others.has(id));
      const earlier = now.slice(0, at).some((others) => others.has(id));
      if (later || earlier) found.push(id);
    }
  });
  return found;
}

async function vmsAt({ address, credential }: Agent): Promise<ReadonlySet<string>> {
  const response = await fetch(`${address}/v1/vms`, {
    headers: { authorization: `Bearer ${credential}` },
  });
  const { items } = (await response.json()) as { readonly items: readonly { id: string }[] };
  return new Set(items.map(({ id }) => id));
}
