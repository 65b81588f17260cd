/**
 * A TAP per VM on the bridge, its limits, and its removal. A VM keeps its number from its first
 * attachment until nothing of it is left, so that whatever is cut short is found and finished by
 * saying the same again. One thing is done at a time.
 */
import type { NetworkAttachment, VmNetworks, VmRates } from '../vm-parts.js';
import { runBatch } from './commands.js';
import { macOf, numberOfTap, tapName, uploadName } from './names.js';
import type { VmNumbers } from './numbers.js';
import {
  ensureTap,
  ensureUploadDevice,
  isolationLines,
  limitLines,
  limitsOf,
  lockingLines,
  removeClasses,
  removeLimits,
  removeLinks,
  type Abilities,
  type Plumbing,
  type VmPort,
} from './plumbing.js';
import type { Subnet, VmAddress } from './subnet.js';

export interface HostNetworks extends VmNetworks {
  /**
   * The address that a VM is to have, for its seed; null where none is given out by this host. The
   * same before the VM is attached as after, until it is detached.
   */
  addressOf(vmId: string): Promise<VmAddress | null>;
}

/** What stands in the kernel by an agent's doing, and whose it is. */
export interface MadeNetworks {
  readonly plumbing: Plumbing;
  readonly numbers: VmNumbers;
}

export interface TapNetworksOptions extends MadeNetworks {
  /** Makes what is missing of the bridge. */
  prepareBridge(): Promise<void>;
  readonly subnet?: Subnet | undefined;
  readonly abilities: Abilities;
  readonly notEnforced: readonly string[];
}

export function tapNetworks(options: TapNetworksOptions): HostNetworks {
  const { plumbing, numbers, subnet } = options;
  const inTurn = oneAtATime();
  return {
    mode: 'tap',
    notEnforced: options.notEnforced,
    attach: (vmId, rates) =>
      inTurn(async () => {
        const port = { vmId, number: await numbers.give(vmId) };
        try {
          return await connect(options, port, rates);
        } catch {
          // Somebody took the bridge or the device for uploads away, or they were never there.
          await options.prepareBridge();
          if (options.abilities.upload) await ensureUploadDevice(plumbing);
          return connect(options, port, rates);
        }
      }),
    detach: (vmId) => inTurn(() => detach(options, vmId)),
    sweep: (vmIds) => inTurn(() => sweep(options, vmIds)),
    addressOf: (vmId) =>
      inTurn(async () =>
        subnet === undefined ? null : subnet.addressOf(await numbers.give(vmId)),
      ),
  };
}

async function connect(
  { plumbing, abilities }: TapNetworksOptions,
  port: VmPort,
  rates: VmRates,
): Promise<NetworkAttachment> {
  const { run } = plumbing;
  const { download, upload } = limitsOf(rates);
  const held = {
    download: abilities.download ? download : null,
    upload: abilities.upload ? upload : null,
  };
  await ensureTap(plumbing, port);
  await runBatch(run, 'bridge', [
    ...(abilities.isolation ? isolationLines(plumbing, port) : []),
    ...(abilities.locking ? lockingLines(plumbing, port) : []),
  ]);
  await runBatch(run, 'tc', limitLines(plumbing, port, held));
  await removeLimits(plumbing, port, held);
  const interfaceName = tapName(port.number, plumbing.tag);
  return { kind: 'tap', interfaceName, mac: macOf(port.vmId) };
}

/**
 * What removes networks of VMs, whether new ones are made or not: an agent that has no TAPs any more
 * clears away those it once made.
 */
export function networkRemoval(made: MadeNetworks): Pick<VmNetworks, 'detach' | 'sweep'> {
  const inTurn = oneAtATime();
  return {
    detach: (vmId) => inTurn(() => detach(made, vmId)),
    sweep: (vmIds) => inTurn(() => sweep(made, vmIds)),
  };
}

async function detach(made: MadeNetworks, vmId: string): Promise<void> {
  const number = made.numbers.of(vmId);
  if (number !== null) await disconnect(made, vmId, number);
}

/**
 * Links go first: without its TAP nothing is led to a VM's class any more. With the last VM goes the
 * device for uploads, which an attachment makes anew.
 */
async function disconnect(
  { plumbing, numbers }: MadeNetworks,
  vmId: string,
  number: number,
): Promise<void> {
  const { run, tag } = plumbing;
  const isLast = numbers.vmIds().every((one) => one === vmId);
  const gone = [tapName(number, tag), ...(isLast ? [uploadName(tag)] : [])];
  await removeLinks(run, (name) => gone.includes(name));
  await removeClasses(plumbing, (one) => one === number);
  await numbers.takeBack(vmId);
}

async function sweep(
  { plumbing, numbers }: MadeNetworks,
  vmIds: ReadonlySet<string>,
): Promise<void> {
  const { run, tag } = plumbing;
  const kept = new Set(
    [...vmIds].flatMap((vmId) => {
      const number = numbers.of(vmId);
      return number === null ? [] : [number];
    }),
  );
  await removeLinks(run, (name) => {
    if (name === uploadName(tag)) return kept.size === 0;
    const number = numberOfTap(name, tag);
    return number !== null && !kept.has(number);
  });
  await removeClasses(plumbing, (number) => !kept.has(number));
  for (const vmId of numbers.vmIds()) if (!vmIds.has(vmId)) await numbers.takeBack(vmId);
}

/** Each waits until all before it are done, however they ended. */
function oneAtATime(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const done = last.then(work, work);
    last = done.catch(() => undefined);
    return done;
  };
}
