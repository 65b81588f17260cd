/**
 * How bandwidth is limited, as lines for `tc -batch`. What a VM is sent passes a token bucket (TBF)
 * on its TAP. What it sends is redirected, where it enters the host, through one device for all VMs
 * (an IFB) that has a class (HTB) for each: a class on the bridge would not see what is routed on.
 *
 *   guest ──► TAP ingress ──mirred──► IFB: hash of the sender's address ──► class 1:<number> ──► bridge
 *   guest ◄── TAP egress (TBF) ◄── bridge
 *
 * Every line may be repeated. Pure.
 */

/** A rate and how much more than it a short burst may take; 1 is none. */
export interface Rate {
  readonly bytesPerS: number;
  readonly burst: number;
}

/** A bucket must refill before the kernel looks again; its timers are late by some milliseconds. */
const REFILL_MS = 10;
/** For so long a VM that was quiet may send `burst` times its rate. */
const BURST_MS = 100;
/** Ten full frames. */
const BUCKET_MIN_BYTES = 16_384;
/** What waits longer than this is dropped: the sender should slow down rather than queue. */
const QUEUE_MS = 50;
/** Guests hand over segments of 64 KiB whole, headers included; a shorter queue would take none. */
const LARGEST_PACKET_BYTES = 66_000;
/** Only matters where classes borrow from each other, which these do not; without it tc warns. */
const QUANTUM_BYTES = 60_000;
/** The kernel keeps sizes of buckets and queues in 32 bits. */
const BYTES_MAX = 2 ** 31 - 1;

/** Where what is sent under an unknown address goes, and how fast. */
const STRAY_CLASS = 'ffff';
const STRAY_RATE: Rate = { bytesPerS: 125_000, burst: 1 };

/** Table of the filters: a bucket for each value of the last byte of an address. */
const TABLE = '1';
const BUCKETS = 256;

/**
 * Size of a bucket: `rate × (10 ms + (burst − 1) × 100 ms)`, at least 16 KiB. Whoever was quiet sends
 * at `burst` times the rate for 100 ms, and at the rate from then on.
 */
export const bucketBytes = ({ bytesPerS, burst }: Rate): number =>
  Math.min(
    BYTES_MAX,
    Math.max(
      BUCKET_MIN_BYTES,
      Math.ceil((bytesPerS * (REFILL_MS + (Math.max(1, burst) - 1) * BURST_MS)) / 1000),
    ),
  );

const queueBytes = (rate: Rate): number =>
  Math.min(
    BYTES_MAX,
    Math.ceil((rate.bytesPerS * QUEUE_MS) / 1000) +
      Math.max(bucketBytes(rate), LARGEST_PACKET_BYTES),
  );

/** tc calls bytes per second `bps`. */
const speed = ({ bytesPerS }: Rate): string =>
  `${Math.max(1, Math.floor(bytesPerS)).toString()}bps`;

/** What a VM is sent. */
export const downloadLines = (tap: string, rate: Rate): readonly string[] => [
  `qdisc replace dev ${tap} root handle 1: tbf rate ${speed(rate)} burst ${bucketBytes(rate).toString()} limit ${queueBytes(rate).toString()}`,
];

export const noDownloadLines = (tap: string): readonly string[] => [`qdisc del dev ${tap} root`];

/** The device for all that is sent, once. */
export const uploadBaseLines = (device: string): readonly string[] => [
  `qdisc add dev ${device} root handle 1: htb default ${STRAY_CLASS}`,
];

/** Its class for strangers, and the table in which the filters of VMs are found by address. */
export const uploadTableLines = (
  device: string,
  hasTable: boolean,
  hasLink: boolean,
): readonly string[] => [
  ...classLines(device, STRAY_CLASS, STRAY_RATE),
  ...(hasTable
    ? []
    : [`filter add ${onDevice(device)} handle ${TABLE}: u32 divisor ${BUCKETS.toString()}`]),
  ...(hasLink
    ? []
    : [
        // The last byte of the sender's address stands 3 bytes before the payload.
        `filter add ${onDevice(device)} handle ${ROOT_LINK} u32 ht 800:: match u32 0 0 hashkey mask 0x00ff0000 at -4 link ${TABLE}:`,
      ]),
];

/** Handles of the table itself and of what leads every packet into it. */
export const TABLE_HANDLE = `${TABLE}:`;
export const ROOT_LINK = '800::800';

const onDevice = (device: string): string => `dev ${device} parent 1: pref 1 protocol all`;

const classLines = (device: string, minor: string, rate: Rate): readonly string[] => {
  const bucket = bucketBytes(rate).toString();
  return [
    `class replace dev ${device} parent 1: classid 1:${minor} htb rate ${speed(rate)} ceil ${speed(rate)} burst ${bucket} cburst ${bucket} quantum ${QUANTUM_BYTES.toString()}`,
    `qdisc replace dev ${device} parent 1:${minor} handle ${minor === STRAY_CLASS ? 'fffe' : minor}: bfifo limit ${queueBytes(rate).toString()}`,
  ];
};

/** Each class has a queue with its number as handle, and 1: is that of the device itself. */
const MINOR_MIN = 2;

const minorOf = (number: number): string => (number + MINOR_MIN).toString(16);

/** What one VM sends: its class, the filter that leads there, and the way there from its TAP. */
export function uploadLines(
  device: string,
  vm: { readonly tap: string; readonly number: number; readonly mac: string },
  rate: Rate,
): readonly string[] {
  const minor = minorOf(vm.number);
  const [high, low] = wordsOf(vm.mac);
  const bucket = bucketOf(vm.mac);
  return [
    ...classLines(device, minor, rate),
    `filter replace ${onDevice(device)} handle ${filterHandle(vm.number, vm.mac)} u32 ht ${TABLE}:${bucket}: match u32 ${high} 0xffffffff at -8 match u32 ${low} 0xffff0000 at -4 flowid 1:${minor}`,
    `qdisc replace dev ${vm.tap} clsact`,
    `filter replace dev ${vm.tap} ingress pref 1 protocol all handle ${ROOT_LINK} u32 match u32 0 0 action mirred egress redirect dev ${device}`,
  ];
}

/** A VM whose upload is not limited (any more). */
export const noUploadLines = (tap: string): readonly string[] => [`qdisc del dev ${tap} clsact`];

/** Handle of a VM's filter: table, bucket, and a node that no other VM has. */
export const filterHandle = (number: number, mac: string): string =>
  `${TABLE}:${bucketOf(mac)}:${minorOf(number)}`;

/** Number of the VM whose filter has this handle; null for the filters of all. */
export function numberOfFilter(handle: string): number | null {
  const match = /^1:[0-9a-f]{1,2}:([0-9a-f]{1,3})$/.exec(handle);
  return match === null ? null : parseInt(match[1] ?? '', 16) - MINOR_MIN;
}

/** Number of the VM whose class this is; null for the class of strangers. */
export function numberOfClass(minor: string): number | null {
  return minor === STRAY_CLASS ? null : parseInt(minor, 16) - MINOR_MIN;
}

/** Takes filter and class away; a class cannot go while a filter leads to it. */
export const filterGoneLine = (device: string, handle: string): string =>
  `filter del ${onDevice(device)} handle ${handle} u32`;

export const classGoneLine = (device: string, minor: string): string =>
  `class del dev ${device} classid 1:${minor}`;

/** The byte by which a filter is found, without leading zeros, as tc prints it. */
const bucketOf = (mac: string): string => parseInt(mac.slice(-2), 16).toString(16);

/** A hardware address as the two words that it stands in before the payload. */
function wordsOf(mac: string): readonly [string, string] {
  const digits = mac.replaceAll(':', '');
  return [`0x${digits.slice(0, 8)}`, `0x${digits.slice(8)}0000`];
}
