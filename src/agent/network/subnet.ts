/**
 * Addresses of VMs from the network that a host was given for them: its first address is the
 * gateway's, and the VM with number n has the n-th after that. Pure.
 */

export interface VmAddress {
  readonly address: string;
  /** Bits of the network. */
  readonly prefix: number;
  readonly gateway: string;
}

export interface Subnet {
  readonly gateway: string;
  readonly prefix: number;
  /** How many VMs have an address. */
  readonly vmsMax: number;
  addressOf(number: number): VmAddress;
}

/** 4 addresses leave one for a VM. */
const PREFIX_MIN = 8;
const PREFIX_MAX = 30;

/** @returns null when the text is no IPv4 network of a size that makes sense */
export function subnetOf(cidr: string): Subnet | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(cidr);
  if (match === null) return null;
  const [a = 0, b = 0, c = 0, d = 0, prefix = 0] = match.slice(1).map(Number);
  if ([a, b, c, d].some((byte) => byte > 255) || prefix < PREFIX_MIN || prefix > PREFIX_MAX) {
    return null;
  }
  const size = 2 ** (32 - prefix);
  const base = ((a * 256 + b) * 256 + c) * 256 + d;
  // 10.0.0.7/24 may be meant as an address; what network it means is not guessed.
  if (base % size !== 0) return null;
  const gateway = dotted(base + 1);
  return {
    gateway,
    prefix,
    // Less the network's own address, the gateway's and that of broadcasts.
    vmsMax: size - 3,
    addressOf: (number) => ({ address: dotted(base + 1 + number), prefix, gateway }),
  };
}

const dotted = (address: number): string =>
  [24, 16, 8, 0].map((shift) => (Math.floor(address / 2 ** shift) % 256).toString()).join('.');
