/**
 * The command line of a VM's QEMU, from checked values: pure. What a person has chosen (names,
 * images) never gets here, disks are open descriptors instead of paths, and where QEMU would read
 * syntax into a value the option is JSON.
 * Machine q35: microvm boots 0.3 s faster, but hangs under load without KVM and has no PCI hot-plug.
 */
import type { NetworkAttachment } from '../vm-parts.js';

export type Accelerator = 'kvm' | 'tcg';

export interface DiskSpec {
  readonly name: 'root' | 'seed';
  readonly format: 'qcow2' | 'raw';
  readonly readOnly: boolean;
  /** Descriptor under which QEMU finds it open. */
  readonly descriptor: number;
  /** The image below an overlay; without one a backing file that the disk names is not opened. */
  readonly backing: { readonly format: 'qcow2' | 'raw'; readonly descriptor: number } | null;
}

export interface MachineSpec {
  readonly uuid: string;
  readonly cpu: number;
  readonly memoryMib: number;
  readonly accelerator: Accelerator;
  readonly disks: readonly DiskSpec[];
  readonly network: NetworkAttachment;
  /** Of all disks together; null where there is no limit. */
  readonly diskIoBytesPerS: number | null;
  /** How many times that for a moment; 1 is no burst. */
  readonly diskIoBurst: number;
  /** Descriptor to which the serial console is written. */
  readonly consoleDescriptor: number;
}

/** Names of the two control sockets in the directory in which QEMU is started. */
export const QMP_SOCKET = 'qmp.sock';
/** One socket serves one client: with this one somebody can look while the agent talks. */
export const RESCUE_SOCKET = 'qmp-rescue.sock';

/** More needs an interrupt remapper. */
export const CPU_MAX = 255;
const MEMORY_MIB_MAX = 64 * 1024 * 1024;
/** QEMU's own limit of a throttle. */
const BYTES_PER_S_MAX = 1e15;
/** Descriptors 0 to 2 are the standard ones. */
const DESCRIPTOR_MIN = 3;
const DESCRIPTOR_MAX = 63;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** A locally chosen address of one station: the two low bits of the first byte are 1 0. */
const MAC = /^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/;
/** What Linux takes as a name of an interface is wider; what we make is not. */
const INTERFACE = /^[A-Za-z][A-Za-z0-9._-]{0,14}$/;

/** QEMU's cache of translated code. The default is a gigabyte per VM. */
const TRANSLATED_MIB = 32;
const THROTTLE = 'disk-io';
const BURST_MAX = 100;

/** @throws RangeError when a value is not what it should be */
export function qemuArguments(spec: MachineSpec): readonly string[] {
  requireSound(spec);
  const { uuid, cpu, memoryMib, accelerator, diskIoBytesPerS, consoleDescriptor } = spec;
  const usesKvm = accelerator === 'kvm';
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-msg', 'timestamp=on'],
    ...['-name', `guest=${uuid},debug-threads=on`, '-uuid', uuid],
    // Without graphics the firmware speaks on the serial console.
    ...['-machine', 'q35,vmport=off,hpet=off,graphics=off'],
    ...['-accel', usesKvm ? 'kvm' : `tcg,tb-size=${TRANSLATED_MIB.toString()}`],
    ...['-cpu', usesKvm ? 'host' : 'max', '-smp', `cpus=${cpu.toString()}`],
    ...['-m', `size=${memoryMib.toString()}M`, '-boot', 'strict=on'],
    ...serialConsole(consoleDescriptor),
    ...controlSocket('control', QMP_SOCKET),
    ...controlSocket('rescue', RESCUE_SOCKET),
    ...(diskIoBytesPerS === null ? [] : throttle(diskIoBytesPerS, spec.diskIoBurst)),
    ...spec.disks.flatMap((disk) => diskOptions(disk, diskIoBytesPerS !== null)),
    ...networkOptions(spec.network),
    ...json('-object', { 'qom-type': 'rng-builtin', id: 'rng0' }),
    ...json('-device', { driver: 'virtio-rng-pci', id: 'rng', rng: 'rng0' }),
    ...json('-device', {
      driver: 'virtio-balloon-pci',
      id: 'balloon',
      'free-page-reporting': true,
    }),
    ...json('-device', { driver: 'pvpanic-pci', id: 'panic' }),
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
  ];
}

const json = (option: string, value: Readonly<Record<string, unknown>>) => [
  option,
  JSON.stringify(value),
];

/** A descriptor that QEMU has open, and the name under which it is opened again. */
const descriptorSet = (descriptor: number) => [
  '-add-fd',
  `fd=${descriptor.toString()},set=${descriptor.toString()}`,
];
const pathOf = (descriptor: number) => `/dev/fdset/${descriptor.toString()}`;

/** Appended to, so that it can be shortened while it is written. */
const serialConsole = (descriptor: number) => [
  ...descriptorSet(descriptor),
  ...['-chardev', `file,id=console,path=${pathOf(descriptor)},append=on`],
  ...['-serial', 'chardev:console'],
];

const controlSocket = (id: string, path: string) => [
  ...['-chardev', `socket,id=${id},path=${path},server=on,wait=off`],
  ...['-mon', `chardev=${id},mode=control`],
];

/**
 * One group for all disks: a limit per disk would be more with each disk. QEMU lets a VM that was quiet
 * go on at the greater rate for a second (`bps-total-max-length`, 1 s unless given).
 */
const throttle = (bytesPerS: number, burst: number) =>
  json('-object', {
    'qom-type': 'throttle-group',
    id: THROTTLE,
    limits: {
      'bps-total': bytesPerS,
      ...(burst > 1 ? { 'bps-total-max': Math.min(BYTES_PER_S_MAX, bytesPerS * burst) } : {}),
    },
  });

function diskOptions(disk: DiskSpec, isThrottled: boolean): readonly string[] {
  const { name, format, readOnly, descriptor, backing } = disk;
  const below = `${name}-image`;
  const node = {
    'node-name': name,
    driver: format,
    file: fileNode(descriptor, readOnly),
    'read-only': readOnly,
    ...(format === 'qcow2' ? { backing: backing === null ? null : below } : {}),
  };
  const limited = {
    'node-name': `${name}-limited`,
    driver: 'throttle',
    file: name,
    'read-only': readOnly,
  };
  return [
    ...descriptorSet(descriptor),
    ...(backing === null ? [] : imageOptions(below, backing)),
    ...json('-blockdev', node),
    ...(isThrottled ? json('-blockdev', { ...limited, 'throttle-group': THROTTLE }) : []),
    ...json('-device', {
      driver: 'virtio-blk-pci',
      id: `disk-${name}`,
      drive: isThrottled ? limited['node-name'] : name,
      serial: name,
      ...(name === 'root' ? { bootindex: 1 } : {}),
    }),
  ];
}

const fileNode = (descriptor: number, readOnly: boolean) => ({
  driver: 'file',
  filename: pathOf(descriptor),
  'read-only': readOnly,
  ...(readOnly ? {} : { discard: 'unmap' }),
});

/** An image is never below another one: what it may name itself is not opened. */
const imageOptions = (
  nodeName: string,
  { format, descriptor }: NonNullable<DiskSpec['backing']>,
) => [
  ...descriptorSet(descriptor),
  ...json('-blockdev', {
    'node-name': nodeName,
    driver: format,
    file: fileNode(descriptor, true),
    'read-only': true,
    ...(format === 'qcow2' ? { backing: null } : {}),
  }),
];

/** In user mode a guest reaches nobody: QEMU would let it reach what listens on the host's loopback. */
function networkOptions(network: NetworkAttachment): readonly string[] {
  const netdev =
    network.kind === 'tap'
      ? { type: 'tap', ifname: network.interfaceName, script: 'no', downscript: 'no' }
      : { type: 'user', restrict: true };
  return [
    ...json('-netdev', { ...netdev, id: 'net0' }),
    ...json('-device', {
      driver: 'virtio-net-pci',
      id: 'nic0',
      netdev: 'net0',
      mac: network.mac,
      romfile: '',
    }),
  ];
}

function requireSound(spec: MachineSpec): void {
  const { uuid, cpu, memoryMib, disks, network, diskIoBytesPerS, consoleDescriptor } = spec;
  requireText('uuid', uuid, UUID);
  requireWhole('cpu', cpu, 1, CPU_MAX);
  requireWhole('memoryMib', memoryMib, 1, MEMORY_MIB_MAX);
  requireOneOf('accelerator', spec.accelerator, ['kvm', 'tcg']);
  if (diskIoBytesPerS !== null)
    requireWhole('diskIoBytesPerS', diskIoBytesPerS, 1, BYTES_PER_S_MAX);
  requireWhole('diskIoBurst', spec.diskIoBurst, 1, BURST_MAX);
  requireText('mac', network.mac, MAC);
  requireOneOf('network', network.kind, ['tap', 'user']);
  if (network.kind === 'tap') requireText('interfaceName', network.interfaceName, INTERFACE);
  for (const { name, format, backing } of disks) {
    requireOneOf('disk', name, ['root', 'seed']);
    requireOneOf('format', format, ['qcow2', 'raw']);
    if (backing === null) continue;
    requireOneOf('format', backing.format, ['qcow2', 'raw']);
    if (format === 'raw') throw new RangeError('a raw disk can have no image below it');
  }
  requireDistinct(
    'disks',
    disks.map(({ name }) => name),
  );
  const descriptors = [
    consoleDescriptor,
    ...disks.flatMap(({ descriptor, backing }) =>
      backing === null ? [descriptor] : [descriptor, backing.descriptor],
    ),
  ];
  for (const one of descriptors) requireWhole('descriptor', one, DESCRIPTOR_MIN, DESCRIPTOR_MAX);
  requireDistinct('descriptors', descriptors);
}

function requireText(what: string, value: unknown, pattern: RegExp): void {
  if (typeof value === 'string' && pattern.test(value)) return;
  throw new RangeError(`${what} is not of the shape ${pattern.source}`);
}

function requireOneOf(what: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw new RangeError(`${what} is not ${allowed.join(' or ')}`);
}

function requireWhole(what: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw new RangeError(`${what} is not a whole number from ${min.toString()} to ${max.toString()}`);
}

function requireDistinct(what: string, values: readonly (string | number)[]): void {
  if (new Set(values).size < values.length) throw new RangeError(`${what} are not distinct`);
}
