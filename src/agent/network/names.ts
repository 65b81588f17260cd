/** What the interfaces of an agent and its VMs are called, and which hardware addresses they have. Pure. */
import { createHash } from 'node:crypto';

/**
 * Numbers are given from 1 on. A bridge takes 1,024 ports; the uplink and what else hangs on it need some.
 */
export const NUMBERS_MAX = 1000;

const TAG_LENGTH = 6;

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Marks what belongs to the agent of this directory: others on the machine leave it alone. */
export const tagOf = (directory: string): string =>
  digestOf(directory).toString('hex').slice(0, TAG_LENGTH);

/** The kernel allows 15 characters; this has at most 13. */
export const tapName = (number: number, tag: string): string => `vm${number.toString()}-${tag}`;

/** The device through which everything goes that VMs send. */
export const uploadName = (tag: string): string => `vmup-${tag}`;

/** The number in the name of one of this agent's TAPs; null for every other interface. */
export function numberOfTap(name: string, tag: string): number | null {
  const match = /^vm(0|[1-9]\d{0,3})-([0-9a-f]+)$/.exec(name);
  return match?.[2] === tag ? Number(match[1]) : null;
}

/**
 * A VM's hardware address: the same wherever it runs. `02` says that it is administered locally;
 * the 40 bits after it are of the id's SHA-256, so that two of 10,000 VMs have the same with a
 * probability of 5e-5.
 */
export const macOf = (vmId: string): string => addressFrom('02', vmId);

/**
 * Address of the host's end. A bridge takes the lowest address of its ports as its own when it was
 * given none, and this is higher than any that a card has.
 */
export const hostMacOf = (vmId: string): string => addressFrom('fe', vmId);

/** Of the bridge that an agent makes: given, as one that changes makes guests lose their gateway. */
export const bridgeMacOf = (name: string): string => addressFrom('02', `bridge ${name}`);

const addressFrom = (first: string, text: string): string =>
  [first, ...[...digestOf(text).subarray(0, 5)].map((byte) => hex(byte))].join(':');

const hex = (byte: number): string => byte.toString(16).padStart(2, '0');
