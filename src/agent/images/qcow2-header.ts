/**
 * The beginning of a qcow2 file, as far as it decides whether a stranger's image is let in. Read by
 * ourselves, before any program opens the file. Layout: QEMU's docs/interop/qcow2 (all numbers are
 * big-endian). Pure.
 */

/** "QFI\xfb". */
const MAGIC = 0x514649fb;

/** Bytes of the file that are needed here. */
export const HEADER_BYTES = 512;

/** Incompatible features, by bit: what a reader must know or keep its hands off. */
const CORRUPT = 1n << 1n;
const EXTERNAL_DATA_FILE = 1n << 2n;

export const isQcow2 = (head: Buffer): boolean =>
  head.length >= 4 && head.readUInt32BE(0) === MAGIC;

/**
 * Looks at a file that says it is qcow2.
 * @returns what makes it unfit, a sentence; null when nothing here does
 */
export function qcow2Fault(head: Buffer): string | null {
  if (!isQcow2(head)) return 'it is no qcow2 image';
  if (head.length < 104) return 'its header is cut off';
  const version = head.readUInt32BE(4);
  if (version !== 2 && version !== 3) return `its qcow2 version ${version.toString()} is unknown`;
  if (head.readBigUInt64BE(8) !== 0n) return 'it has a backing file; flatten it first';
  if (head.readUInt32BE(32) !== 0) return 'it is encrypted';
  const features = version === 3 ? head.readBigUInt64BE(72) : 0n;
  if ((features & EXTERNAL_DATA_FILE) !== 0n) return 'its data lies in another file';
  if ((features & CORRUPT) !== 0n) return 'it is marked as corrupt';
  return null;
}

/** Beginnings of image formats that are not taken, by what people call them. */
const FOREIGN: readonly (readonly [string, string])[] = [
  ['KDMV', 'VMDK'],
  ['COWD', 'VMDK'],
  ['# Disk DescriptorFile', 'VMDK'],
  ['vhdxfile', 'VHDX'],
  ['conectix', 'VHD'],
  ['<<< ', 'VDI'],
  ['QED\0', 'QED'],
  ['LUKS\xba\xbe', 'LUKS'],
];

/** The format that a file seems to have which is not to be read as such; null: none that is known. */
export function foreignFormat(head: Buffer): string | null {
  const begins = head.toString('latin1');
  return FOREIGN.find(([magic]) => begins.startsWith(magic))?.[1] ?? null;
}
