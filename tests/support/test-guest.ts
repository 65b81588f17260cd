/** Guests of one sector, for tests that need a VM but no operating system. They boot in half a second. */

const DISK_BYTES = 1024 * 1024;
const MESSAGE_AT = 0x34;
const le16 = (value: number) => [value & 0xff, (value >> 8) & 0xff];

/** What the polite guest writes to the serial console. */
export const GUEST_GREETING = 'guest: up';

/** Each line: machine code, then what an assembler would be told. */
const POLITE: readonly number[] = [
  ...[0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0], // cli; xor ax, ax; mov ds, ax; mov ss, ax
  ...[0xbc, ...le16(0x7c00), 0xfc], // mov sp, 0x7c00; cld
  // Writes its greeting to the first serial port.
  ...[0xbe, ...le16(0x7c00 + MESSAGE_AT)], // mov si, message
  ...[0xac, 0x84, 0xc0, 0x74, 0x06], // lodsb; test al, al; jz on
  ...[0xba, ...le16(0x3f8), 0xee, 0xeb, 0xf5], // mov dx, 0x3f8; out dx, al; jmp to the lodsb
  // Lets the power button set its bit: ACPI PM1 enable, bit 8.
  ...[0xba, ...le16(0x602), 0xb8, ...le16(0x100), 0xef], // mov dx, 0x602; mov ax, 0x100; out dx, ax
  // At each tick of the timer: was it pressed (PM1 status)? Then off (PM1 control, sleep enable).
  ...[0xfb, 0xf4], // sti; hlt
  ...[0xba, ...le16(0x600), 0xed, 0xf6, 0xc4, 0x01, 0x74, 0xf6], // mov dx, 0x600; in ax, dx; test ah, 1; jz to the hlt
  ...[0xba, ...le16(0x604), 0xb8, ...le16(0x2000), 0xef], // mov dx, 0x604; mov ax, 0x2000; out dx, ax
  ...[0xeb, 0xed], // jmp to the hlt
];

/** Greets, and powers itself off when the power button is pressed. */
export function politeGuest(): Buffer {
  const disk = bootable(POLITE);
  disk.write(`${GUEST_GREETING}\r\n\0`, MESSAGE_AT, 'latin1');
  return disk;
}

/** Says nothing, hears nothing and keeps a processor busy: cli; jmp to itself. */
export const spinningGuest = (): Buffer => bootable([0xfa, 0xeb, 0xfe]);

function bootable(program: readonly number[]): Buffer {
  const disk = Buffer.alloc(DISK_BYTES);
  Buffer.from(program).copy(disk);
  disk.writeUInt16LE(0xaa55, 510);
  return disk;
}
