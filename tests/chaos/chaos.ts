/** One chaos run on one stack: faults in a seeded order under load, and after each tenth a reckoning. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { prngOf, type Prng } from '../../src/std/prng.js';
import { Clients, hasFailed, type Attempt } from './clients.js';
import { converge } from './convergence.js';
import { FAULTS, type Fault } from './faults.js';
import { machineMs } from './observed-driver.js';
import { hostStates, Stack, type StackOptions } from './stack.js';

export interface ChaosOptions extends StackOptions {
  readonly seed: string;
  readonly faults: number;
  /** Only these classes; all that go with this Redis when absent. */
  readonly only?: readonly string[];
  /** No fault begins later, by the clock of `machineMs`. */
  readonly endsAt: number;
  readonly say: (line: string) => void;
  /** Ends the run after the fault that is under way, without a reckoning. */
  readonly signal: AbortSignal;
}

/** What became of one fault. */
export interface Outcome {
  readonly name: string;
  readonly aim: number | null;
  readonly overlapped: boolean;
  /** Why it could not be done. */
  readonly undone: string | null;
  /** After how long the breaker was open, where that was watched. */
  readonly openedMs: number | null;
  readonly began: number;
  readonly healed: number;
  /** When every replica had answered a write, every host was up, and no request failed any more. */
  readonly recovered: number;
  readonly attempts: readonly Attempt[];
}

export interface ChaosResult {
  readonly outcomes: readonly Outcome[];
  /** How long each reckoning took. */
  readonly convergedMs: readonly number[];
  readonly violations: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  readonly attempts: number;
  readonly facts: number;
  readonly namespace: boolean;
}

const RECKON_EVERY = 10;
const OVERLAP_SHARE = 0.15;
const QUIET_MS = 700;
const RECOVERY_LIMIT_MS = 45_000;
const LOOK_MS = 100;
const WARM_UP_MS = 3_000;

/** Each class as often as any other, in an order that the seed gives. */
export function planOf(
  { redis, faults, only }: Pick<ChaosOptions, 'redis' | 'faults' | 'only'>,
  random: Prng,
): readonly { readonly fault: Fault; readonly nth: number }[] {
  const classes = FAULTS.filter(
    (fault) =>
      (only?.includes(fault.name) ?? true) && (fault.redis === undefined || fault.redis === redis),
  );
  const plan: { readonly fault: Fault; readonly nth: number; readonly at: number }[] = [];
  for (let index = 0; index < faults; index += 1) {
    const fault = classes[index % classes.length];
    if (fault === undefined) throw new Error('no class of faults is left');
    const nth = Math.floor(index / classes.length);
    // Rounds keep the classes spread over the run.
    plan.push({ fault, nth, at: nth + random.next() * 1.5 });
  }
  return plan.sort((a, b) => a.at - b.at);
}

export async function chaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, say } = options;
  const random = prngOf(seed);
  const plan = planOf(options, random.fork('plan'));
  const stack = await Stack.start(options);
  const hosts = stack.hosts.map(({ name }) => name);
  const clients = new Clients(stack.urls, hosts, random.fork('clients'), options.redis.slice(0, 2));
  const outcomes: Outcome[] = [];
  const convergedMs: number[] = [];
  const violations: string[] = [];
  const reckon = async () => {
    await stack.heal();
    await clients.rest();
    const { ms, wrong } = await converge(stack, clients);
    if (options.signal.aborted) return;
    convergedMs.push(ms);
    violations.push(...wrong.map((one) => `not converged after 60 s: ${one}`));
    say(`reckoning: ${wrong.length === 0 ? 'all agree' : wrong.join('; ')} (${seconds(ms)})`);
  };
  const isOver = () =>
    options.signal.aborted ||
    [violations, stack.violations, stack.truth.violations, clients.violations].some(
      ({ length }) => length > 0,
    );
  const aborted = once(options.signal, 'abort');
  let reckoned = 0;
  try {
    clients.start();
    await sleep(WARM_UP_MS);
    let at = 0;
    while (at < plan.length && machineMs() < options.endsAt && !isOver()) {
      const [first, second] = plan.slice(at, at + 2);
      if (first === undefined) break;
      const isPair =
        second !== undefined &&
        first.fault.part !== second.fault.part &&
        random.chance(OVERLAP_SHARE);
      const faults = isPair ? [first, second] : [first];
      outcomes.push(...(await inflict(stack, clients, faults, random, options.signal)));
      const count = outcomes.length - faults.length;
      for (const [nth, one] of outcomes.slice(count).entries()) say(lineOf(one, count + nth + 1));
      const before = Math.floor(at / RECKON_EVERY);
      at += faults.length;
      stack.truth.read();
      if (Math.floor(at / RECKON_EVERY) > before && !options.signal.aborted) {
        await Promise.race([reckon(), aborted]);
        reckoned = at;
        if (at < plan.length) clients.start();
      }
    }
    if (at > reckoned && !options.signal.aborted) await Promise.race([reckon(), aborted]);
    stack.truth.read();
    violations.push(...stack.violations);
  } finally {
    await stack.stop();
  }
  return {
    outcomes,
    convergedMs,
    violations: [...violations, ...stack.truth.violations, ...clients.violations],
    counts: clients.counts,
    attempts: clients.attempts.length,
    facts: stack.truth.facts,
    namespace: stack.hasNamespace,
  };
}

async function inflict(
  stack: Stack,
  clients: Clients,
  faults: readonly { readonly fault: Fault; readonly nth: number }[],
  random: Prng,
  signal: AbortSignal,
): Promise<Outcome[]> {
  const from = clients.attempts.length;
  const began = machineMs();
  const done = await Promise.all(
    faults.map(async ({ fault, nth }) => {
      const chance = random.fork(`${fault.name} ${nth.toString()}`);
      const doing = fault.inflict(stack, nth, chance).then(
        () => null,
        (error: unknown) => String(error),
      );
      const [openedMs, undone] = await Promise.all([fault.opens?.(stack, began) ?? null, doing]);
      return { fault, nth, openedMs, undone, healed: machineMs() };
    }),
  );
  if (done.some(({ undone }) => undone !== null)) await stack.heal();
  const healed = Math.max(...done.map((one) => one.healed));
  const recovered = await recovery(stack, clients, healed, signal);
  // Those that began before and failed because of it are there too: they are noted at their end.
  const attempts = clients.attempts.slice(from);
  return done.map(({ fault, nth, openedMs, undone }) => ({
    ...{ openedMs, undone },
    name: fault.name,
    aim: fault.aim === undefined ? null : fault.aim(nth) % stack.replicas.length,
    overlapped: done.length > 1,
    ...{ began, healed, recovered, attempts },
  }));
}

/** Waits until all is as before, as clients see it. @returns since when it is */
async function recovery(
  stack: Stack,
  clients: Clients,
  healed: number,
  signal: AbortSignal,
): Promise<number> {
  const end = healed + RECOVERY_LIMIT_MS;
  let hostsUp: number | null = null;
  for (;;) {
    const since = clients.attempts.filter(({ ended }) => ended > healed);
    const firsts = stack.replicas.map(
      (_replica, at) =>
        since.find(
          (one) => one.replica === at && one.write && one.began > healed && !hasFailed(one),
        )?.ended ?? null,
    );
    hostsUp ??= (await allUp(stack)) ? machineMs() : null;
    const lastFailed = since.findLast(hasFailed)?.ended ?? healed;
    const marks = [...firsts, hostsUp];
    if (marks.every((mark) => mark !== null) && machineMs() - lastFailed > QUIET_MS)
      return Math.max(lastFailed, ...marks);
    if (machineMs() > end || signal.aborted) return end;
    await sleep(LOOK_MS);
  }
}

async function allUp({ urls, hosts }: Stack): Promise<boolean> {
  const states = await hostStates(urls[0] ?? '').catch(() => []);
  return states.length === hosts.length && states.every(({ state }) => state === 'up');
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** How often which replica failed in which way. */
function failuresOf(attempts: readonly Attempt[]): string {
  const counts = new Map<string, number>();
  for (const { replica, status, code } of attempts.filter(hasFailed)) {
    const what = `${(replica + 1).toString()}: ${status === 0 ? 'no answer' : code}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  const told = [...counts].sort().map(([what, count]) => `${what} × ${count.toString()}`);
  return told.length === 0 ? '' : `; replica ${told.join(', ')}`;
}

const lineOf = (outcome: Outcome, count: number): string => {
  const { name, overlapped, undone, began, healed, recovered, attempts } = outcome;
  if (undone !== null) return `${count.toString().padStart(4)}  ${name}: NOT DONE: ${undone}`;
  return (
    `${count.toString().padStart(4)}  ${name}${overlapped ? ' (with another)' : ''}: ${seconds(healed - began)}, ` +
    `recovered after ${seconds(recovered - healed)}${failuresOf(attempts)}`
  );
};
