/**
 * Where agents may be. Whoever joins names the address that the control plane will call, so it must
 * lie in the fleet's own networks: nobody uses us to reach what only we can reach.
 */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import ipaddr from 'ipaddr.js';
import { DomainError } from '../model/errors.js';

export interface FleetNetworks {
  /** Whether calls may go to this IP address. */
  has(ip: string): boolean;
  /**
   * The IP address to which all calls for a base URL go from now on.
   * @throws DomainError `invalid_request` naming `address`
   */
  resolve(address: string): Promise<string>;
}

/** Asks the name service. */
export type Lookup = (name: string) => Promise<readonly LookupAddress[]>;

/** This machine, and the networks that are nobody's on the internet (RFC 1918, RFC 4193). */
export const PRIVATE_NETWORKS: readonly string[] = [
  '127.0.0.0/8',
  '::1/128',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  'fc00::/7',
];

/** Metadata services of clouds give credentials to whoever asks from inside: never an agent. */
const METADATA: readonly string[] = ['169.254.169.254', 'fd00:ec2::254'];

/** A name service that hangs must not hold up who joins for as long as it likes. */
const LOOKUP_LIMIT_MS = 3_000;

/** Names looked up at once. Node has four threads for it, and files need them as well. */
const LOOKUPS_MAX = 2;

/**
 * @param networks in CIDR notation
 * @throws Error when one of them is none
 */
export function fleetNetworks(
  networks: readonly string[],
  ask: Lookup = (name) => lookup(name, { all: true }),
): FleetNetworks {
  const ranges = networks.map((network) => ipaddr.parseCIDR(network));
  const has = (ip: string): boolean => {
    if (!ipaddr.isValid(ip)) return false;
    // An IPv4 address in the clothes of IPv6 is judged as what it is.
    const address = ipaddr.process(ip);
    if (METADATA.includes(address.toString())) return false;
    return ranges.some((range) => range[0].kind() === address.kind() && address.match(range));
  };
  let underWay = 0;
  const lookUp = async (name: string): Promise<readonly LookupAddress[]> => {
    if (underWay >= LOOKUPS_MAX) {
      throw new DomainError('overloaded', 'Too many names are being looked up; try again soon.', {
        retryAfterS: 1,
      });
    }
    underWay += 1;
    // It cannot be cancelled, so its place is taken until it is over.
    const answer = ask(name)
      .catch(() => [])
      .finally(() => {
        underWay -= 1;
      });
    const limit = new AbortController();
    const none = sleep(LOOKUP_LIMIT_MS, [], { signal: limit.signal, ref: false }).catch(() => []);
    const found = await Promise.race([answer, none]);
    limit.abort();
    return found;
  };
  const refuse = (what: string): DomainError =>
    new DomainError('invalid_request', 'Some fields are not valid; see errors.', {
      errors: [
        {
          field: 'address',
          message: `must lie in the networks of the fleet (${networks.join(', ')}); ${what}`,
        },
      ],
    });
  return {
    has,
    async resolve(address) {
      const name = hostIn(address);
      if (ipaddr.isValid(name)) {
        if (has(name)) return name;
        throw refuse(`${name} does not`);
      }
      const found = await lookUp(name);
      if (found.length === 0) throw refuse(`${name} has no address`);
      const usable = found.find((one) => has(one.address));
      if (usable === undefined) throw refuse(`no address of ${name} does`);
      return usable.address;
    },
  };
}

/** The host of a base URL as the name service and sockets know it: without brackets. */
export const hostIn = (address: string): string =>
  new URL(address).hostname.replace(/^\[(.*)\]$/, '$1');

/** Whether a text is a network in CIDR notation. */
export const isNetwork = (text: string): boolean => ipaddr.isValidCIDR(text);
