/**
 * Asks many agents at once. A slot is for the first moment of a call: one that hangs gives its slot
 * to the next and waits beside, so that 600 dead hosts do not make the live ones late. Calls under
 * way stay bounded: the slots, times how many such moments fit into the deadline of a call. So
 * many hosts that such moments do not fit into the time get shorter ones.
 *
 * A thousand answers at once take half a second of the machine. Nobody needs them that soon: while VMs
 * are placed, hosts are asked a few at a time, so that creates in between wait for a few.
 */
import pLimit from 'p-limit';
import type { Alarm, Clock } from '../model/ports.js';
import { WakeUp } from '../std/wake-up.js';

/** A live agent answers within it; measured answers take some milliseconds. */
const SLOT_MS = 500;

/** Hosts that are asked at a stretch while VMs are placed: some 15 ms of the machine. */
const GROUP = 25;

/** Then VMs may be placed no more, and the rest need not wait. */
const PAUSE_MS_MAX = 250;

/** Runs calls to agents, each in a slot. */
export type InSlot = <Answer>(call: () => Promise<Answer>) => Promise<Answer>;

/** @param slotMs how long a call keeps its slot at most */
export function slotsFor(clock: Pick<Clock, 'sleep'>, slots: number, slotMs = SLOT_MS): InSlot {
  const limit = pLimit(slots);
  return <Answer>(call: () => Promise<Answer>) =>
    new Promise<Answer>((resolve, reject) => {
      void limit(async () => {
        const slot = new WakeUp(clock);
        call()
          .finally(() => {
            slot.poke();
          })
          .then(resolve, reject);
        await slot.sleep(slotMs);
      });
    });
}

export interface AskOptions {
  readonly slots: number;
  /** Every call has begun by then, even if no agent answers. */
  readonly withinMs: number;
  /** Over how much of that they are spread where they give way. */
  readonly spreadMs: number;
  /** Asked before each group: whether what else is under way shall not wait for it. */
  readonly givesWay: () => boolean;
  /** Ends a pause. */
  readonly alarm: Alarm;
}

/** @returns answers in the order of the targets; those who answered last time are asked first */
export async function askAll<Target extends { readonly missedPolls: number }, Answer>(
  clock: Pick<Clock, 'sleep' | 'monotonic'>,
  targets: readonly Target[],
  { slots, withinMs, spreadMs, givesWay, alarm }: AskOptions,
  ask: (target: Target) => Promise<Answer>,
): Promise<readonly Answer[]> {
  const slotMs = Math.min(SLOT_MS, withinMs / Math.ceil(targets.length / slots));
  const inSlot = slotsFor(clock, slots, slotMs);
  const inOrder = [...targets].sort(
    (left, right) => Number(left.missedPolls > 0) - Number(right.missedPolls > 0),
  );
  const pauseMs = Math.min(PAUSE_MS_MAX, (spreadMs * GROUP) / targets.length);
  const begunAt = clock.monotonic();
  const answers = new Map<Target, Promise<Answer>>();
  for (const [place, target] of inOrder.entries()) {
    if (place > 0 && place % GROUP === 0 && givesWay()) {
      // By the clock, so that pauses which end late on a busy machine do not add up.
      const dueMs = begunAt + (place / GROUP) * pauseMs - clock.monotonic();
      if (dueMs > 0) await clock.sleep(Math.min(dueMs, pauseMs), alarm);
    }
    const answer = inSlot(() => ask(target));
    // One that fails in a pause is met at the end, with the others.
    answer.catch(() => undefined);
    answers.set(target, answer);
  }
  return Promise.all(targets.map((target) => present(answers.get(target))));
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a target was not asked');
  return value;
}
