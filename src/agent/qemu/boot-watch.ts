/**
 * Whether a guest that QEMU calls running gets anywhere. A guest that hangs early in its boot turns
 * a processor for ever and says nothing, while QEMU is content. Pure.
 */
import type { Reason } from '../../model/vm.js';

export interface BootSigns {
  /** Since the process runs. */
  readonly ageMs: number;
  /** Share of one processor that it took since it runs; more than 1 with several. */
  readonly cpuShare: number;
  /** What it has written to the serial console since then, or the beginning of it. */
  readonly console: string;
}

/** The slowest boot that we have measured took a sixth of this. */
export const BOOT_LIMIT_MS = 60_000;
/** A guest that waits for something takes a few hundredths. */
const SPINNING_SHARE = 0.9;

/** Lines of the firmware, before any guest. */
const FIRMWARE = /^(SeaBIOS|iPXE|Booting from|Boot failed|No bootable device|Press |Machine UUID)/;

/** With them the firmware begins. */
const ESCAPE_SEQUENCES = new RegExp(
  `${String.fromCharCode(0x1b)}(\\[[0-9;?=]*[A-Za-z]|c|[()#].)`,
  'g',
);

/** @returns why the guest is suspected to hang; null when it is not */
export function bootSuspicion({ ageMs, cpuShare, console }: BootSigns): Reason | null {
  if (ageMs < BOOT_LIMIT_MS || cpuShare < SPINNING_SHARE || guestHasSpoken(console)) return null;
  return {
    code: 'boot_hangs',
    detail:
      `In ${Math.round(ageMs / 1_000).toString()} s the guest has written nothing to its console,` +
      ' while it kept a processor busy: it may hang.',
  };
}

/** Whether anything but the firmware has written to the console. */
export const guestHasSpoken = (console: string): boolean =>
  console
    .replaceAll(ESCAPE_SEQUENCES, '')
    .split(/[\r\n]+/)
    .some((line) => line.trim() !== '' && !FIRMWARE.test(line.trim()));
