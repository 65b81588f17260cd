/**
 * The guest of the accelerator's trial: a boot sector that does what an operating system does first
 * and then writes one line to the serial port. There are hosts where /dev/kvm opens, QEMU says
 * `running` and the firmware prints its lines, yet each instruction of protected and of long mode is
 * emulated, so that no kernel ever gets through: hence the work in both modes.
 */

/** What the guest writes when it is through. */
export const ALIVE = 'berth canary: alive';

const WORK = 20_000_000;
/** On a smaller disk the firmware finds no geometry that it could read by. */
const DISK_BYTES = 1024 * 1024;
const LOADED_AT = 0x7c00;
/** Where, from the first byte on, the parts begin that are named by address. */
const PROTECTED_AT = 0x2f;
const LONG_AT = 0x9f;
const TABLE_AT = 0xd0;
const MESSAGE_AT = 0xf6;
const MARK_AT = 0x1fe;

const le16 = (value: number) => [value & 0xff, (value >> 8) & 0xff];
const le32 = (value: number) => [...le16(value), ...le16(value >> 16)];
const at = (offset: number) => LOADED_AT + offset;

/** Each line: machine code, then what an assembler would be told. */
const PROGRAM: readonly number[] = [
  ...[0xfa], // cli
  ...[0x31, 0xc0], // xor ax, ax
  ...[0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0], // mov ds, ax; mov es, ax; mov ss, ax
  ...[0xbc, ...le16(LOADED_AT)], // mov sp, 0x7c00
  ...[0xfc], // cld
  // Timer interrupts come: two ticks of the firmware's clock at 0x46c.
  ...[0xfb], // sti
  ...[0x8a, 0x1e, ...le16(0x46c)], // mov bl, [0x46c]
  ...[0x80, 0xc3, 2], // add bl, 2
  ...[0xf4], // hlt
  ...[0x3a, 0x1e, ...le16(0x46c)], // cmp bl, [0x46c]
  ...[0x75, 0xf9], // jne to the hlt
  ...[0xfa], // cli
  // Protected mode, 32 bits.
  ...[0x0f, 0x01, 0x16, ...le16(at(TABLE_AT + 0x20))], // lgdt
  ...[0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0], // mov eax, cr0; or al, 1; mov cr0, eax
  ...[0xea, ...le16(at(PROTECTED_AT)), ...le16(0x08)], // jmp 0x08:protected
  ...[0x66, 0xb8, ...le16(0x18), 0x8e, 0xd8, 0x8e, 0xc0], // mov ax, 0x18; mov ds, ax; mov es, ax
  ...[0xb9, ...le32(WORK)], // mov ecx, WORK
  ...[0x31, 0x0d, ...le32(0x4000), 0x49, 0x75, 0xf7], // xor [0x4000], ecx; dec ecx; jnz to the xor
  // Page tables at 0x1000, 0x2000 and 0x3000 for the first 2 MiB.
  ...[0xbf, ...le32(0x1000), 0xb9, ...le32(0xc00)], // mov edi, 0x1000; mov ecx, 0xc00
  ...[0x31, 0xc0, 0xf3, 0xab], // xor eax, eax; rep stosd
  ...[0xc7, 0x05, ...le32(0x1000), ...le32(0x2003)], // mov dword [0x1000], 0x2003
  ...[0xc7, 0x05, ...le32(0x2000), ...le32(0x3003)], // mov dword [0x2000], 0x3003
  ...[0xc7, 0x05, ...le32(0x3000), ...le32(0x0083)], // mov dword [0x3000], 0x83
  ...[0xb8, ...le32(0x1000), 0x0f, 0x22, 0xd8], // mov eax, 0x1000; mov cr3, eax
  // Long mode, 64 bits.
  ...[0x0f, 0x20, 0xe0, 0x0c, 0x20, 0x0f, 0x22, 0xe0], // mov eax, cr4; or al, 0x20; mov cr4, eax
  ...[0xb9, ...le32(0xc0000080), 0x0f, 0x32], // mov ecx, EFER; rdmsr
  ...[0x80, 0xcc, 0x01, 0x0f, 0x30], // or ah, 1; wrmsr
  ...[0x0f, 0x20, 0xc0], // mov eax, cr0
  ...[0x0d, ...le32(0x80000000), 0x0f, 0x22, 0xc0], // or eax, 1 << 31; mov cr0, eax
  ...[0xea, ...le32(at(LONG_AT)), ...le16(0x10)], // jmp 0x10:long
  ...[0xb9, ...le32(WORK)], // mov ecx, WORK
  ...[0x31, 0x0c, 0x25, ...le32(0x4000), 0xff, 0xc9], // xor [0x4000], ecx; dec ecx
  ...[0x75, 0xf5], // jnz to the xor
  // The line, byte by byte, each when the port can take it.
  ...[0xbe, ...le32(at(MESSAGE_AT))], // mov esi, message
  ...[0xb9, ...le32(ALIVE.length + 2), 0x66, 0xba, ...le16(0x3f8)], // mov ecx, length; mov dx, 0x3f8
  ...[0x80, 0xc2, 0x05, 0xec, 0xa8, 0x20, 0x74, 0xfb], // add dl, 5; in al, dx; test al, 0x20; jz to the in
  ...[0x80, 0xea, 0x05, 0xac, 0xee, 0xe2, 0xf1], // sub dl, 5; lodsb; out dx, al; loop to the add
  ...[0xf4, 0xeb, 0xfd], // hlt; jmp to the hlt
];

/** Segments 0x08 (code, 32 bits), 0x10 (code, 64 bits), 0x18 (data); then what lgdt reads. */
const TABLE: readonly number[] = [
  ...[0, 0, 0, 0, 0, 0, 0, 0],
  ...[0xff, 0xff, 0, 0, 0, 0x9a, 0xcf, 0],
  ...[0, 0, 0, 0, 0, 0x9a, 0x20, 0],
  ...[0xff, 0xff, 0, 0, 0, 0x92, 0xcf, 0],
  ...[...le16(0x1f), ...le32(at(TABLE_AT))],
];

/** A disk that the firmware boots. */
export function canaryDisk(): Buffer {
  const disk = Buffer.alloc(DISK_BYTES);
  Buffer.from(PROGRAM).copy(disk);
  Buffer.from(TABLE).copy(disk, TABLE_AT);
  disk.write(`${ALIVE}\r\n`, MESSAGE_AT, 'latin1');
  disk.writeUInt16LE(0xaa55, MARK_AT);
  return disk;
}
