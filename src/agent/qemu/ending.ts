/** How a VM is after its process has ended, from all that was seen of the end. Pure. */
import type { Reason } from '../../model/vm.js';

export interface Ending {
  /** It was to end: an order of ours, or its removal. */
  readonly wasWanted: boolean;
  /** What QEMU said last, if we were listening. */
  readonly shutdown: { readonly guest: boolean; readonly reason: string } | null;
  /** QEMU never spoke with us. */
  readonly neverSpoke: boolean;
  /** QEMU gave the guest up; see `BROKEN_STATUS`. */
  readonly isBroken: boolean;
  /** Null when it was not our child. */
  readonly code: number | null;
  readonly signal: string | null;
  /** QEMU removes its sockets when it ends in order, and leaves them when it does not. */
  readonly hasLeftSockets: boolean;
}

/** Of `query-status`: the guest stands still and never goes on. */
export const BROKEN_STATUS = 'internal-error';

export interface Rest {
  readonly state: 'stopped' | 'failed';
  readonly reason: Reason | null;
}

/** Details are read by tenants: what QEMU printed stays in the agent's log. */
export function restAfter(ending: Ending): Rest {
  const { wasWanted, shutdown, neverSpoke, isBroken, code, hasLeftSockets } = ending;
  if (wasWanted) return { state: 'stopped', reason: null };
  if (shutdown?.reason === 'guest-panic') {
    return failed('guest_panicked', 'The guest reported a panic of its kernel.');
  }
  if (shutdown?.guest === true) {
    return stopped('guest_shutdown', 'The guest has powered itself off.');
  }
  if (isBroken) return failed('vm_broken', 'The hypervisor could not go on with the guest.');
  if (neverSpoke) {
    return failed('start_failed', `QEMU could not start the VM (${howOf(ending)}).`);
  }
  if (shutdown !== null) return stopped('ended_on_host', 'Its process was ended on its host.');
  if (code === 0 || (code === null && ending.signal === null && !hasLeftSockets)) {
    return stopped('ended_unseen', 'It ended in order while its agent did not look.');
  }
  return failed('vm_died', `The process of the VM has died (${howOf(ending)}).`);
}

const stopped = (code: string, detail: string): Rest => ({
  state: 'stopped',
  reason: { code, detail },
});

const failed = (code: string, detail: string): Rest => ({
  state: 'failed',
  reason: { code, detail },
});

function howOf({ code, signal }: Ending): string {
  if (signal !== null) return signal;
  return code === null ? 'nobody saw how' : `exit code ${code.toString()}`;
}
