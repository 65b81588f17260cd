/**
 * The command line of a VM. Method: it is read back with QEMU's own grammar, written anew here, and
 * must say what the values say and nothing else. 100,000 machines are drawn, of which many carry a
 * value that would be syntax to QEMU: it must be refused, or be found again letter by letter.
 */
import { describe, expect, it } from '@jest/globals';
import { qemuArguments, type MachineSpec } from '../../../src/agent/qemu/arguments.js';
import { vmKeyOf } from '../../../src/agent/qemu/vm-directory.js';
import { prngOf } from '../../../src/std/prng.js';

const MACHINES = 100_000;

const HOSTILE = [
  'a,b=c',
  'x,,y',
  'nbd:127.0.0.1:10809',
  'json:{"driver":"nbd"}',
  'file:/etc/passwd',
  'fat:rw:/etc',
  '/etc/passwd',
  '../../etc/passwd',
  'a\n-incoming',
  'exec:id',
  '-monitor',
  'stdio',
  '"},{"a":"',
  "a'b",
  'n0,restrict=off',
  'guest=a,process=evil',
  '\0',
  '\u2028',
  '',
  ' ',
  'a'.repeat(10_000),
  '%s%n',
  '$(id)',
  '`id`',
  '52:54:00:00:00:01,script=/tmp/x',
  'tap0\n',
  '52:54:00:00:00:01\n',
];
const WEIRD_NUMBERS = [0, -1, 1.5, NaN, Infinity, -Infinity, 2 ** 53, 1e300, 256, -0];

/** Options, and the keys that each of those in QEMU's own syntax may have. */
const KEYS_OF: Readonly<Record<string, readonly string[]>> = {
  '-display': ['none'],
  '-msg': ['timestamp'],
  '-name': ['guest', 'debug-threads'],
  '-uuid': [''],
  '-machine': ['q35', 'vmport', 'hpet', 'graphics'],
  '-accel': ['kvm', 'tcg', 'tb-size'],
  '-cpu': ['host', 'max'],
  '-smp': ['cpus'],
  '-m': ['size'],
  '-boot': ['strict'],
  '-add-fd': ['fd', 'set'],
  '-chardev': ['file', 'socket', 'id', 'path', 'append', 'server', 'wait'],
  '-serial': ['chardev:console'],
  '-mon': ['chardev', 'mode'],
  '-sandbox': ['on', 'obsolete', 'elevateprivileges', 'spawn', 'resourcecontrol'],
};
const JSON_OPTIONS = ['-object', '-device', '-blockdev', '-netdev'];
const FLAGS = ['-nodefaults', '-no-user-config'];

/** QEMU's `key=value,key=value`, in which a doubled comma is a comma. */
function readKeys(text: string): Record<string, string> {
  const parts = text.replaceAll(',,', '\u0000').split(',');
  return Object.fromEntries(
    parts.map((part) => {
      const [key = '', ...value] = part.split('=');
      return [key, value.join('=').replaceAll('\u0000', ',')];
    }),
  );
}

interface ReadBack {
  readonly plain: readonly (readonly [string, Record<string, string>])[];
  readonly json: readonly (readonly [string, Record<string, unknown>])[];
}

/** @throws Error at anything that no machine of ours may have */
function readBack(args: readonly string[]): ReadBack {
  const plain: [string, Record<string, string>][] = [];
  const json: [string, Record<string, unknown>][] = [];
  for (let index = 0; index < args.length; index += 1) {
    const option = args[index] ?? '';
    if (FLAGS.includes(option)) continue;
    index += 1;
    const value = args[index] ?? '';
    if (JSON_OPTIONS.includes(option)) {
      json.push([option, JSON.parse(value) as Record<string, unknown>]);
      continue;
    }
    const allowed = KEYS_OF[option];
    if (allowed === undefined) throw new Error(`an option of its own: ${option}`);
    const keys = readKeys(value);
    if (option !== '-uuid') {
      const strange = Object.keys(keys).find((key) => !allowed.includes(key));
      if (strange !== undefined) throw new Error(`${option} has a key of its own: ${strange}`);
    }
    plain.push([option, keys]);
  }
  return { plain, json };
}

/** What a sound machine must say, from the values alone. */
function expectSays(spec: MachineSpec): void {
  const { plain, json } = readBack(qemuArguments(spec));
  const one = (option: string) => plain.filter(([name]) => name === option).map(([, keys]) => keys);
  const named = (key: string, value: string) =>
    json.map(([, content]) => content).find((content) => content[key] === value);
  expect(one('-uuid')).toEqual([{ [spec.uuid]: '' }]);
  expect(one('-name')).toEqual([{ guest: spec.uuid, 'debug-threads': 'on' }]);
  expect(one('-smp')).toEqual([{ cpus: spec.cpu.toString() }]);
  expect(one('-m')).toEqual([{ size: `${spec.memoryMib.toString()}M` }]);
  expect(one('-sandbox')).toHaveLength(1);
  const net = named('id', 'net0');
  expect(named('id', 'nic0')?.mac).toBe(spec.network.mac);
  if (spec.network.kind === 'tap') {
    expect(net).toMatchObject({ type: 'tap', ifname: spec.network.interfaceName, script: 'no' });
  } else expect(net).toEqual({ type: 'user', restrict: true, id: 'net0' });

  const descriptors = [
    spec.consoleDescriptor,
    ...spec.disks.flatMap(({ descriptor, backing }) => [
      descriptor,
      ...(backing === null ? [] : [backing.descriptor]),
    ]),
  ];
  expect(
    one('-add-fd')
      .map(({ fd }) => Number(fd))
      .sort(),
  ).toEqual([...descriptors].sort());
  const files = JSON.stringify(json).match(/"filename":"[^"]*"/g) ?? [];
  expect(files).toHaveLength(descriptors.length - 1);
  for (const file of files) expect(file).toMatch(/^"filename":"\/dev\/fdset\/\d{1,2}"$/);
  for (const { name, format, backing, readOnly } of spec.disks) {
    const node = named('node-name', name);
    expect(node).toMatchObject({ driver: format, 'read-only': readOnly });
    // Without one, what the disk itself names is not opened.
    if (format === 'qcow2') {
      expect(node?.backing).toBe(backing === null ? null : `${name}-image`);
    }
    const drive = named('id', `disk-${name}`)?.drive;
    expect(drive).toBe(spec.diskIoBytesPerS === null ? name : `${name}-limited`);
  }
  expect(named('qom-type', 'throttle-group')?.limits).toEqual(
    spec.diskIoBytesPerS === null
      ? undefined
      : {
          'bps-total': spec.diskIoBytesPerS,
          ...(spec.diskIoBurst === 1
            ? {}
            : { 'bps-total-max': spec.diskIoBytesPerS * spec.diskIoBurst }),
        },
  );
}

const SOUND: MachineSpec = {
  uuid: '00000000-0000-4000-8000-000000000001',
  cpu: 2,
  memoryMib: 512,
  accelerator: 'tcg',
  disks: [
    {
      name: 'root',
      format: 'qcow2',
      readOnly: false,
      descriptor: 4,
      backing: { format: 'raw', descriptor: 5 },
    },
    { name: 'seed', format: 'raw', readOnly: true, descriptor: 6, backing: null },
  ],
  network: { kind: 'tap', interfaceName: 'berth-12', mac: '52:54:00:12:34:56' },
  diskIoBytesPerS: 1_000_000,
  diskIoBurst: 4,
  consoleDescriptor: 3,
};

describe('the command line of a VM', () => {
  it('says what the values say', () => {
    expectSays(SOUND);
    expectSays({ ...SOUND, diskIoBytesPerS: null, disks: [], accelerator: 'kvm' });
    expectSays({ ...SOUND, network: { kind: 'user', mac: '02:00:00:00:00:01' } });
  });

  it('notices what it looks for', () => {
    expect(() => readBack(['-monitor', 'stdio'])).toThrow('an option of its own');
    expect(() => readBack(['-name', 'guest=a,process=evil'])).toThrow('a key of its own: process');
    expect(readBack(['-name', 'guest=a,,process=evil']).plain).toEqual([
      ['-name', { guest: 'a,process=evil' }],
    ]);
  });

  it(`holds for ${MACHINES.toString()} random machines: nothing of a value is read as syntax`, () => {
    const { refused, accepted, wrong } = tryMachines();
    expect(wrong).toEqual([]);
    // Both kinds were drawn often.
    expect(Math.min(refused, accepted)).toBeGreaterThan(MACHINES / 5);
  });

  it('names a VM by a UUID whatever its id is, and no two by the same', () => {
    const ids = [...HOSTILE, ...HOSTILE.map((text) => text.toUpperCase()), SOUND.uuid, 'A', 'a'];
    const distinct = new Set(ids);
    const keys = new Set([...distinct].map(vmKeyOf));
    expect(keys.size).toBe(distinct.size);
    // Who takes the key of another VM as an id gets another one.
    for (const key of [...keys])
      if (vmKeyOf(key) !== key) expect(keys.has(vmKeyOf(key))).toBe(false);
    for (const key of keys) expectSays({ ...SOUND, uuid: key });
    expect(vmKeyOf(SOUND.uuid)).toBe(SOUND.uuid);
    // As the control plane gives them out.
    const given = '019aa8d2-5c3e-7b1a-9f42-0c6d2e8f1a35';
    expect(vmKeyOf(given)).toBe(given);
  });
});

function tryMachines() {
  const prng = prngOf('the command line of a VM');
  const pick = <T>(from: readonly T[]): T => prng.pick(from);
  const below = (limit: number) => prng.between(0, limit - 1);
  const hex = (digits: number) =>
    Array.from({ length: digits }, () => below(16).toString(16)).join('');
  /** Now and then something that no sound machine has. */
  const or = <T>(sound: T, others: readonly unknown[]): T =>
    prng.chance(0.03) ? (pick(others) as T) : sound;
  const letters = Array.from('abcdefghijklmnopqrstuvwxyz0123456789,=:/\\"\'\n -.{}[]$%');
  const text = () => Array.from({ length: below(24) }, () => pick(letters)).join('');

  const drawn = (): MachineSpec => {
    const mac = or(`52:54:00:${hex(2)}:${hex(2)}:${hex(2)}`, [...HOSTILE, text()]);
    const disk = (name: 'root' | 'seed', descriptor: number) => ({
      name: or(name, HOSTILE),
      format: or(pick(['qcow2', 'raw'] as const), HOSTILE),
      readOnly: name === 'seed',
      descriptor: or(descriptor, WEIRD_NUMBERS),
      backing: null,
    });
    const root = disk('root', 4);
    return {
      uuid: or(vmKeyOf(text()), [...HOSTILE, text()]),
      cpu: or(1 + below(255), WEIRD_NUMBERS),
      memoryMib: or(1 + below(1_000_000), WEIRD_NUMBERS),
      accelerator: or(pick(['kvm', 'tcg'] as const), HOSTILE),
      disks: [
        root.format === 'qcow2'
          ? {
              ...root,
              backing: { format: or(pick(['qcow2', 'raw'] as const), HOSTILE), descriptor: 5 },
            }
          : root,
        ...(prng.chance(0.5) ? [disk('seed', 6)] : []),
      ],
      network: prng.chance(0.5)
        ? { kind: 'user', mac }
        : { kind: 'tap', mac, interfaceName: or(`t${hex(6)}`, [...HOSTILE, text()]) },
      diskIoBytesPerS: prng.chance(0.5) ? null : or(1 + below(1e12), WEIRD_NUMBERS),
      diskIoBurst: or(1 + below(100), WEIRD_NUMBERS),
      consoleDescriptor: or(3, WEIRD_NUMBERS),
    };
  };

  let refused = 0;
  let accepted = 0;
  const wrong: string[] = [];
  for (let index = 0; index < MACHINES && wrong.length < 10; index += 1) {
    const spec = drawn();
    try {
      qemuArguments(spec);
    } catch (error) {
      if (!(error instanceof RangeError)) wrong.push(String(error));
      refused += 1;
      continue;
    }
    accepted += 1;
    try {
      // The full comparison is slow; the grammar is read for all.
      if (index % 1_000 === 0) expectSays(spec);
      else expectNoSyntax(spec);
    } catch (error) {
      wrong.push(`${JSON.stringify(spec)}: ${String(error)}`);
    }
  }
  return { refused, accepted, wrong };
}

function expectNoSyntax(spec: MachineSpec): void {
  const { plain, json } = readBack(qemuArguments(spec));
  const told = [
    plain.find(([option]) => option === '-uuid')?.[1],
    plain.find(([option]) => option === '-m')?.[1].size,
    json.find(([, { id }]) => id === 'nic0')?.[1].mac,
    json.find(([, { id }]) => id === 'net0')?.[1].ifname,
    json.filter(([option]) => option === '-netdev').length,
    JSON.stringify(json).split('"filename"').length - 1,
  ];
  const { network, disks } = spec;
  const expected = [
    { [spec.uuid]: '' },
    `${spec.memoryMib.toString()}M`,
    network.mac,
    network.kind === 'tap' ? network.interfaceName : undefined,
    1,
    disks.length + disks.filter(({ backing }) => backing !== null).length,
  ];
  if (JSON.stringify(told) !== JSON.stringify(expected)) {
    throw new Error(`${JSON.stringify(told)} instead of ${JSON.stringify(expected)}`);
  }
}
