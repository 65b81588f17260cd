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

/**
 * @param withinMs every call has begun by then, even if no agent answers
 * @param ask never rejects
 * @returns answers in the order of the targets; those who answered last time are asked first
 */
export async function askAll<Target extends { readonly missedPolls: number }, Answer>(
  clock: Pick<Clock, 'sleep'>,
  targets: readonly Target[],
  { slots, withinMs }: { readonly slots: number; readonly withinMs: number },
  ask: (target: Target) => Promise<Answer>,
): Promise<readonly Answer[]> {
  const limit = pLimit(slots);
  const slotMs = Math.min(SLOT_MS, withinMs / Math.ceil(targets.length / slots));
  const answers = new Map<Target, Promise<Answer>>();
  const inOrder = [...targets].sort(
    (left, right) => Number(left.missedPolls > 0) - Number(right.missedPolls > 0),
  );
  const begin = async (target: Target): Promise<void> => {
    const slot = new WakeUp(clock);
    const answer = ask(target).finally(() => {
      slot.poke();
    });
    answers.set(target, answer);
    await slot.sleep(slotMs);
  };
  await Promise.all(inOrder.map((target) => limit(begin, target)));
  return Promise.all(targets.map((target) => present(answers.get(target))));
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a target was not asked');
  return value;
}
