/**
 * What really ran, read from what the hosts' processes wrote down: does one VM run twice, is a host
 * fuller than it may be, does a VM run that was deleted for good? Knows nothing of Berth's books.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Resources } from '../../src/model/resources.js';
import type { Fact } from './observed-driver.js';

interface Run {
  readonly host: string;
  readonly from: number;
  /** Infinity while it runs. */
  to: number;
}

const CHUNK_BYTES = 1 << 16;

export class Truth {
  readonly violations: string[] = [];
  /** Runs of each VM. */
  readonly #runs = new Map<string, Run[]>();
  /** What each host holds now, by VM; a stopped VM holds, too. */
  readonly #held = new Map<string, Map<string, Resources>>();
  /** Since when a VM is gone for good. */
  readonly #final = new Map<string, number>();
  readonly #files: { readonly path: string; offset: number; rest: string }[];
  #facts = 0;

  /** @param limits most that a host may hold, by class */
  constructor(
    files: readonly string[],
    private readonly limits: Readonly<Record<string, number>>,
  ) {
    this.#files = files.map((path) => ({ path, offset: 0, rest: '' }));
  }

  get facts(): number {
    return this.#facts;
  }

  /** Takes in what was written since the last time. */
  read(): void {
    for (const file of this.#files) {
      const text = file.rest + readFrom(file);
      const lines = text.split('\n');
      file.rest = lines.pop() ?? '';
      for (const line of lines) this.take(JSON.parse(line) as Fact);
    }
  }

  /** Facts of one host come in their order; those of several hosts may come in any. */
  take(fact: Fact): void {
    this.#facts += 1;
    const held = this.#held.get(fact.host) ?? new Map<string, Resources>();
    this.#held.set(fact.host, held);
    if (fact.what === 'gone') held.delete(fact.vm);
    else held.set(fact.vm, fact.resources);
    if (fact.what === 'up') this.#begin(fact);
    else if (fact.what !== 'held') this.#end(fact);
    if (fact.what !== 'gone') this.#look(fact.host, held);
  }

  /** A VM that may never run again: it was deleted, and everybody knows that it is gone. */
  isFinal(vm: string, at: number): void {
    if (!this.#final.has(vm)) this.#final.set(vm, at);
  }

  /** The machine of a host was switched off: nothing runs there from then on. */
  switchedOff(host: string, at: number): void {
    for (const runs of this.#runs.values()) {
      for (const run of runs) if (run.host === host && run.to === Infinity) run.to = at;
    }
  }

  /** Where a VM runs now. */
  runningOn(vm: string): readonly string[] {
    return (this.#runs.get(vm) ?? []).filter(({ to }) => to === Infinity).map(({ host }) => host);
  }

  /** Hosts that hold something of a VM, running or not. */
  heldOn(vm: string): readonly string[] {
    return [...this.#held].filter(([, vms]) => vms.has(vm)).map(([host]) => host);
  }

  /** Every VM of which something is left somewhere. */
  held(): readonly string[] {
    return [...new Set([...this.#held.values()].flatMap((vms) => [...vms.keys()]))];
  }

  #begin({ vm, host, at, assignment }: Fact): void {
    const runs = this.#runs.get(vm) ?? [];
    this.#runs.set(vm, runs);
    if (runs.some((run) => run.host === host && run.to === Infinity)) return;
    runs.push({ host, from: at, to: Infinity });
    const final = this.#final.get(vm);
    if (final !== undefined && at > final)
      this.violations.push(
        `VM ${vm} was deleted for good at ${ms(final)} and began to run on ${host} at ${ms(at)} (assignment ${assignment.toString()})`,
      );
  }

  #end({ vm, host, at }: Fact): void {
    const runs = this.#runs.get(vm) ?? [];
    const run = runs.find((one) => one.host === host && one.to === Infinity);
    if (run === undefined) return;
    run.to = at;
    for (const other of runs) {
      // Of one that is open here the end may stand in a file that is read later.
      if (other.to !== Infinity && overlap(other, run)) this.violations.push(twice(vm, run)(other));
    }
  }

  /** VMs that run now and ran elsewhere meanwhile; to be asked when every file was read. */
  runningTwice(): readonly string[] {
    return [...this.#runs].flatMap(([vm, runs]) =>
      runs
        .filter(({ to }) => to === Infinity)
        .flatMap((open) => runs.filter((other) => overlap(open, other)).map(twice(vm, open))),
    );
  }

  #look(host: string, held: ReadonlyMap<string, Resources>): void {
    for (const [name, limit] of Object.entries(this.limits)) {
      let sum = 0;
      for (const resources of held.values()) sum += resources[name] ?? 0;
      if (sum > limit)
        this.violations.push(
          `${host} holds ${sum.toString()} ${name}, over ${limit.toString()}: ${[...held.keys()].join(', ')}`,
        );
    }
  }
}

const ms = (at: number): string => (at === Infinity ? 'now' : at.toFixed(1));

const twice =
  (vm: string, a: Run) =>
  (b: Run): string =>
    `VM ${vm} ran twice at once: on ${[a, b]
      .map(({ host, from, to }) => `${host} (${ms(from)} to ${ms(to)})`)
      .join(' and ')}`;

const overlap = (a: Run, b: Run): boolean => a.host !== b.host && a.from < b.to && b.from < a.to;

/** What a file has beyond the offset; moves the offset. */
function readFrom(file: { readonly path: string; offset: number }): string {
  const descriptor = openSync(file.path, 'a+');
  try {
    const pieces: Buffer[] = [];
    for (;;) {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      const count = readSync(descriptor, chunk, 0, CHUNK_BYTES, file.offset);
      if (count === 0) return Buffer.concat(pieces).toString();
      file.offset += count;
      pieces.push(chunk.subarray(0, count));
    }
  } finally {
    closeSync(descriptor);
  }
}
