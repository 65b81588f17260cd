/**
 * A hypervisor that only pretends: VMs are records whose states take time. For trying Berth on a
 * laptop, for the simulated fleet and for tests; it can be told to be slow, to fail and to hang.
 *
 *   creating ──bootMs──► running ──stop──► stopping ──stopMs──► stopped ──start──► starting ──bootMs──► running
 *
 * A forced stop goes to `stopped` at once.
 */
import { DomainError } from '../../model/errors.js';
import type { Clock } from '../../model/ports.js';
import type { DriverPatchBody, DriverSettingsBody } from '../../wire/agent.js';
import type { VmRecord } from '../vm-store.js';
import type { Driver, Observation } from './driver.js';

const DEFAULTS: DriverSettingsBody = {
  bootMs: 300,
  stopMs: 200,
  failNextCreates: 0,
  failNextStarts: 0,
  hang: false,
  refuseClaims: false,
};

interface Pretended {
  readonly seen: Observation;
  /** Aborted when something else happens to the VM before its state is reached. */
  readonly timer: AbortController;
}

/** What a passing state turns into when its time is over. */
const NEXT_STATE = { creating: 'running', starting: 'running', stopping: 'stopped' } as const;

const isPassing = (state: string): state is keyof typeof NEXT_STATE => state in NEXT_STATE;

/** @param given how it behaves at first; can be changed while it runs */
export function createSimulatedDriver(options: {
  readonly clock: Clock;
  readonly given?: DriverPatchBody;
}): Driver {
  const { clock } = options;
  let settings: DriverSettingsBody = { ...DEFAULTS, ...withoutUndefined(options.given ?? {}) };
  let changed: (vmId: string) => void = () => undefined;
  const closing = new AbortController();
  let wake: (() => void)[] = [];
  const vms = new Map<string, Pretended>();

  const enter = (id: string, state: Observation['state'], since: number, code?: string) => {
    vms.get(id)?.timer.abort();
    const timer = new AbortController();
    const reason =
      code === undefined ? null : { code, detail: 'The simulated driver was told to fail.' };
    const seen: Observation = { state, reason, since };
    vms.set(id, { seen, timer });
    if (isPassing(state) && !closing.signal.aborted)
      void passOn(id, NEXT_STATE[state], remainingMs(seen), timer.signal);
    return seen;
  };

  /** Time that a passing state still takes; a clock that was set back does not prolong it. */
  const remainingMs = ({ state, since }: Observation): number => {
    const takesMs = state === 'stopping' ? settings.stopMs : settings.bootMs;
    return Math.min(takesMs, Math.max(0, since + takesMs - clock.now()));
  };

  const passOn = async (
    id: string,
    next: Observation['state'],
    afterMs: number,
    signal: AbortSignal,
  ): Promise<void> => {
    await clock.sleep(afterMs, signal);
    if (signal.aborted) return;
    enter(id, next, clock.now());
    changed(id);
  };

  const enterNow = (vm: VmRecord, state: Observation['state'], code?: string) =>
    Promise.resolve(enter(vm.id, state, clock.now(), code));

  const refuseWhenClosed = () => {
    if (closing.signal.aborted) throw new DomainError('shutting_down', 'The agent is stopping.');
  };

  const awaken = () => {
    const waiting = wake;
    wake = [];
    for (const resolve of waiting) resolve();
  };

  return {
    name: 'simulated',
    open(listener) {
      changed = listener;
    },
    async check() {
      while (settings.hang && !closing.signal.aborted)
        await new Promise<void>((resolve) => wake.push(resolve));
      refuseWhenClosed();
    },
    admits: () => !settings.refuseClaims,
    resume(vm) {
      if (vm.state !== 'failed') {
        return Promise.resolve(enter(vm.id, vm.state, vm.stateSince));
      }
      const seen: Observation = { state: 'failed', reason: vm.reason, since: vm.stateSince };
      vms.set(vm.id, { seen, timer: new AbortController() });
      return Promise.resolve(seen);
    },
    settle: () => Promise.resolve(),
    inspect: (vm) => Promise.resolve(vms.get(vm.id)?.seen ?? observationOf(vm)),
    create(vm) {
      if (settings.failNextCreates === 0) return enterNow(vm, 'creating');
      settings = { ...settings, failNextCreates: settings.failNextCreates - 1 };
      return enterNow(vm, 'failed', 'create_failed');
    },
    start(vm) {
      if (settings.failNextStarts === 0) return enterNow(vm, 'starting');
      settings = { ...settings, failNextStarts: settings.failNextStarts - 1 };
      return enterNow(vm, 'failed', 'start_failed');
    },
    stop: (vm, { force = false } = {}) => enterNow(vm, force ? 'stopped' : 'stopping'),
    async remove(vm) {
      const state = vms.get(vm.id)?.seen.state;
      if (state === 'running' || state === 'starting' || state === 'stopping') {
        await clock.sleep(settings.stopMs, closing.signal);
        refuseWhenClosed();
      }
      vms.get(vm.id)?.timer.abort();
      vms.delete(vm.id);
    },
    close() {
      closing.abort();
      for (const { timer } of vms.values()) timer.abort();
      awaken();
      return Promise.resolve();
    },
    settings: {
      read: () => settings,
      change(patch) {
        settings = { ...settings, ...withoutUndefined(patch) };
        if (!settings.hang) awaken();
      },
    },
  };
}

const observationOf = ({ state, reason, stateSince }: VmRecord): Observation => ({
  state,
  reason,
  since: stateSince,
});

function withoutUndefined(patch: DriverPatchBody): Partial<DriverSettingsBody> {
  return Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
}
