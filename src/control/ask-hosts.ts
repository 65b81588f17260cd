/**
 * Asks many agents at once. A slot is for the first moment of a call: one that hangs gives its slot
 * to the next and waits beside, so that 600 dead hosts do not make the live ones late. Calls under
 * way stay bounded: the slots, times how many such moments fit into the deadline of a call. So
 * many hosts that such moments do not fit into the time get shorter ones.
 */
import pLimit from 'p-limit';
import type { Clock } from '../model/ports.js';
import { WakeUp } from '../std/wake-up.js';

/** A live agent answers within it; measured answers take some milliseconds. */
const SLOT_MS = 500;

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

/**
 * @param withinMs every call has begun by then, even if no agent answers
 * @returns answers in the order of the targets; those who answered last time are asked first
 */
export async function askAll<Target extends { readonly missedPolls: number }, Answer>(
  clock: Pick<Clock, 'sleep'>,
  targets: readonly Target[],
  { slots, withinMs }: { readonly slots: number; readonly withinMs: number },
  ask: (target: Target) => Promise<Answer>,
): Promise<readonly Answer[]> {
  const slotMs = Math.min(SLOT_MS, withinMs / Math.ceil(targets.length / slots));
  const inSlot = slotsFor(clock, slots, slotMs);
  const inOrder = [...targets].sort(
    (left, right) => Number(left.missedPolls > 0) - Number(right.missedPolls > 0),
  );
  const answers = new Map(inOrder.map((target) => [target, inSlot(() => ask(target))]));
  return Promise.all(targets.map((target) => present(answers.get(target))));
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a target was not asked');
  return value;
}
