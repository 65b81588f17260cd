/**
 * Writes down what really runs on a host: around a driver, before a VM can run and after it has
 * stopped. What the agent believes or reports plays no part. A line is in the file before the next
 * step is done, so a kill -9 of the agent loses none.
 */
import { openSync, writeSync } from 'node:fs';
import type { Driver, Observation } from '../../src/agent/drivers/driver.js';
import type { VmRecord } from '../../src/agent/vm-store.js';
import type { Resources } from '../../src/model/resources.js';

/** `up`: it may run from here on. `down`: it certainly does not. `gone`: nothing of it is left. */
export type Deed = 'held' | 'up' | 'down' | 'gone';

export interface Fact {
  /** Milliseconds of the machine's clock that never jumps, which all processes share. */
  readonly at: number;
  readonly host: string;
  readonly vm: string;
  readonly what: Deed;
  readonly assignment: number;
  readonly resources: Resources;
}

export type Tell = (vm: VmRecord, what: Deed) => void;

/** @param file one for all hosts of a process; grows only */
export function factWriter(file: string): (host: string) => Tell {
  const descriptor = openSync(file, 'a');
  return (host) => (vm, what) => {
    const { id, assignment, resources } = vm;
    const fact: Fact = { at: machineMs(), host, vm: id, what, assignment, resources };
    writeSync(descriptor, `${JSON.stringify(fact)}\n`);
  };
}

/** Where this file is, the hosts' machines were switched off before their process is started. */
export const rebootMarkOf = (factsFile: string): string => `${factsFile}.rebooted`;

export const machineMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

const runs = ({ state }: Observation): boolean => state !== 'stopped' && state !== 'failed';

/** @param rebooted the machine was off: what ran before does not run now */
export function observedDriver(inner: Driver, tell: Tell, rebooted = false): Driver {
  const known = new Map<string, VmRecord>();
  /** Counts what was begun on each VM, so that an old end is not taken for the end of a new start. */
  const begun = new Map<string, number>();
  const begin = (vm: VmRecord, what: Deed): void => {
    known.set(vm.id, vm);
    begun.set(vm.id, (begun.get(vm.id) ?? 0) + 1);
    tell(vm, what);
  };
  const note = (vm: VmRecord, seen: Observation): Observation => {
    if (!runs(seen)) tell(vm, 'down');
    return seen;
  };
  return {
    ...inner,
    open(changed) {
      inner.open((id) => {
        const vm = known.get(id);
        const at = begun.get(id);
        if (vm === undefined) return;
        void inner.inspect(vm).then((seen) => {
          if (begun.get(id) === at) note(vm, seen);
          changed(id);
        });
      });
    },
    async resume(vm) {
      const rests = vm.state === 'stopped' || vm.state === 'failed';
      begin(vm, 'held');
      if (rebooted && !rests) return note(vm, await inner.resume({ ...vm, state: 'stopped' }));
      if (!rests) tell(vm, 'up');
      return note(vm, await inner.resume(vm));
    },
    async create(vm) {
      begin(vm, 'held');
      tell(vm, 'up');
      return note(vm, await inner.create(vm));
    },
    async start(vm) {
      begin(vm, 'up');
      return note(vm, await inner.start(vm));
    },
    async remove(vm) {
      await inner.remove(vm);
      begin(vm, 'gone');
      known.delete(vm.id);
    },
  };
}
