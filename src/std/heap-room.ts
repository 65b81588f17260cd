/**
 * How far the heap may grow above what is in use before V8 collects all of it. V8's own rule lets it
 * grow to four times that, and a process that holds a lot at rest keeps as much again and more of
 * what nobody needs; a small fixed share makes one that holds little collect all the time.
 */
import { PerformanceObserver, constants } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';

const MIB = 2 ** 20;

/** A heap up to this size is in nobody's way. */
const HEAP_BYTES = 185 * MIB;

/** Above what is in use, in percent of it: V8's own rule, and less, which collects all the time. */
const ROOM_PERCENT = { least: 40, most: 300 };

/** The share that lets the heap grow to a size, in percent of what is in use. */
export const roomPercent = (usedBytes: number, heapBytes = HEAP_BYTES): number =>
  Math.round(
    Math.min(
      ROOM_PERCENT.most,
      Math.max(ROOM_PERCENT.least, (100 * (heapBytes - usedBytes)) / usedBytes),
    ),
  );

/**
 * From now on, until the process ends. V8 takes the share at the end of each whole collection.
 * @param heapBytes to which the heap may grow whatever is in use
 */
export function boundHeapRoom(heapBytes = HEAP_BYTES): void {
  const bound = () => {
    const percent = roomPercent(getHeapStatistics().used_heap_size, heapBytes);
    setFlagsFromString(`--heap-growing-percent=${percent.toString()}`);
  };
  const observer = new PerformanceObserver((list) => {
    if (list.getEntries().some(isWholeCollection)) bound();
  });
  observer.observe({ entryTypes: ['gc'] });
  bound();
}

function isWholeCollection(entry: object): boolean {
  const { detail } = entry as { readonly detail?: { readonly kind?: number } };
  return detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
}
