/** Where agents may be: what lies outside the networks of the fleet is never called. */
import { describe, expect, it } from '@jest/globals';
import { fleetNetworks, isNetwork, PRIVATE_NETWORKS } from '../../src/fleet/addresses.js';
import { failureOf } from './agents-contract.js';

/** A name service that knows what it is told. */
const namesOf =
  (names: Readonly<Record<string, readonly string[]>>) =>
  (name: string): Promise<{ address: string; family: number }[]> => {
    const addresses = names[name];
    if (addresses === undefined) return Promise.reject(new Error(`ENOTFOUND ${name}`));
    return Promise.resolve(
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );
  };

describe('the private networks', () => {
  const networks = fleetNetworks(PRIVATE_NETWORKS);

  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.254',
    '192.168.1.1',
    '::1',
    'fd12::1',
  ])('have %s', (ip) => {
    expect(networks.has(ip)).toBe(true);
  });

  it.each([
    '8.8.8.8',
    '172.32.0.1',
    '192.169.0.1',
    '100.64.0.1',
    '0.0.0.0',
    '255.255.255.255',
    '224.0.0.1',
    // The metadata services of clouds, and what lies around them.
    '169.254.169.254',
    '169.254.1.1',
    'fd00:ec2::254',
    '::',
    'fe80::1',
    '2001:4860:4860::8888',
    'not-an-address',
    '',
  ])('do not have %s', (ip) => {
    expect(networks.has(ip)).toBe(false);
  });

  it('judge an IPv4 address in the clothes of IPv6 as what it is', () => {
    expect(networks.has('::ffff:10.0.0.1')).toBe(true);
    expect(networks.has('::ffff:8.8.8.8')).toBe(false);
    expect(networks.has('::ffff:a9fe:a9fe')).toBe(false);
  });
});

describe('an address that somebody joins with', () => {
  const ask = namesOf({
    'agent-1': ['10.0.0.7'],
    mixed: ['93.184.216.34', '10.0.0.8'],
    public: ['93.184.216.34'],
    metadata: ['169.254.169.254'],
    six: ['fd12::7'],
  });
  const networks = fleetNetworks(['10.0.0.0/8', 'fc00::/7', '169.254.0.0/16'], ask);

  it.each([
    ['http://10.0.0.7:8081', '10.0.0.7'],
    ['http://[fd12::7]:8081', 'fd12::7'],
    ['http://agent-1:8081', '10.0.0.7'],
    ['https://mixed', '10.0.0.8'],
    ['http://six:1', 'fd12::7'],
    // As URLs write it: 10.0.0.7.
    ['http://167772167:8081', '10.0.0.7'],
  ])('%s stands for %s', async (address, ip) => {
    expect(await networks.resolve(address)).toBe(ip);
  });

  it.each([
    'http://8.8.8.8',
    'http://127.0.0.1:6379',
    'http://2130706433:6379',
    'http://0x7f.1',
    'http://public:80',
    'http://nobody:80',
    'http://169.254.169.254',
    'http://metadata',
    'http://[::ffff:169.254.169.254]',
    'http://[::1]',
  ])('%s is refused, naming the networks', async (address) => {
    const { code, errors } = await failureOf(networks.resolve(address));
    expect(code).toBe('invalid_request');
    expect(errors).toEqual([
      { field: 'address', message: expect.stringContaining('10.0.0.0/8, fc00::/7') },
    ]);
  });
});

it.each([
  ['10.0.0.0/8', true],
  ['fc00::/7', true],
  ['10.0.0.0', false],
  ['10.0.0.0/33', false],
  ['the office', false],
])('%s is a network: %s', (text, isOne) => {
  expect(isNetwork(text)).toBe(isOne);
});
