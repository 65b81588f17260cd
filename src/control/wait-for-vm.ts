/** Waiting for a VM to come to rest, for callers that want to hold the line. */
import type { Vm } from '../model/vm.js';
import type { Ports } from './ports.js';
import { noSuchVm } from './want-vm.js';

/** The first looks come fast, for VMs that start fast; the later ones spare the catalogue. */
const PAUSE_MIN_MS = 40;
const PAUSE_MAX_MS = 500;

const AT_REST: readonly Vm['state'][] = ['running', 'stopped', 'failed'];

/** Callers that hold the line at once; each looks at the catalogue again and again. */
const WAITS_MAX = 200;

/** The line of one replica. Who finds it full is told at once how the VM is. */
export class VmWaits {
  readonly #ports: Ports;
  #waiting = 0;

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  /** @throws DomainError `not_found` when the VM is gone */
  async wait(id: string, timeoutMs: number, signal: AbortSignal): Promise<Vm> {
    const isFull = this.#waiting >= WAITS_MAX;
    this.#waiting += 1;
    try {
      return await waitForVm(this.#ports, id, isFull ? 0 : timeoutMs, signal);
    } finally {
      this.#waiting -= 1;
    }
  }
}

async function waitForVm(
  ports: Ports,
  id: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Vm> {
  const until = ports.clock.monotonic() + timeoutMs;
  let pauseMs = PAUSE_MIN_MS;
  for (;;) {
    const vm = await ports.catalogue.vm(id);
    if (vm === null) throw noSuchVm(id);
    const left = until - ports.clock.monotonic();
    if (AT_REST.includes(vm.state) || left <= 0 || signal.aborted) return vm;
    await ports.clock.sleep(Math.min(pauseMs, left), signal);
    pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 1.5);
  }
}
