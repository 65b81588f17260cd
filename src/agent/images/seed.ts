/**
 * What a guest is told at its first boot, as cloud-init's NoCloud reads it: three small files on an
 * ISO whose label is `cidata`. All of it is made by a serializer, so that nothing a user has typed
 * can become syntax.
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { DomainError } from '../../model/errors.js';
import type { VmUser } from '../../model/vm.js';
import { ProgramError, runProgram } from './run-program.js';

/** Where the network of a guest is configured from outside; others ask by DHCP. */
export interface SeedNetwork {
  readonly mac: string;
  /** With its prefix length, such as 10.0.0.7/24; null: DHCP. */
  readonly address: string | null;
  readonly gateway: string | null;
  readonly nameservers: readonly string[];
}

export interface SeedInput {
  readonly vmId: string;
  readonly name: string;
  readonly users: readonly VmUser[];
  readonly network: SeedNetwork | null;
}

/** What cloud-init takes at most, of any of its sources. */
const USER_DATA_BYTES_MAX = 16 * 1024;

export const SEED_FILES = ['meta-data', 'user-data', 'network-config'] as const;
export type SeedFiles = Readonly<Record<(typeof SEED_FILES)[number], string>>;

/** @throws DomainError `invalid_request` when there is too much for a seed */
export function seedFiles({ vmId, name, users, network }: SeedInput): SeedFiles {
  const hostname = hostnameOf(name, vmId);
  const userData = `#cloud-config\n${yaml({
    hostname,
    prefer_fqdn_over_hostname: false,
    ...(users.length === 0 ? {} : { users: users.map(loginOf) }),
  })}`;
  if (Buffer.byteLength(userData) > USER_DATA_BYTES_MAX) {
    throw new DomainError('invalid_request', 'The users and their keys are too much for a seed.');
  }
  return {
    'meta-data': yaml({ 'instance-id': vmId, 'local-hostname': hostname }),
    'user-data': userData,
    'network-config': yaml({ version: 2, ethernets: { primary: interfaceOf(network) } }),
  };
}

/**
 * Names of VMs may hold what names of machines may not (RFC 1123): no part of those is empty or has
 * a `-` at an end. A name of which nothing is left gives way to the VM's id.
 */
export function hostnameOf(name: string, vmId: string): string {
  const own = labelsOf(name);
  return own === '' ? labelsOf(`vm-${vmId}`) : own;
}

const labelsOf = (text: string): string =>
  text
    .replaceAll('_', '-')
    .split('.')
    .map((label) => label.replace(/^-+|-+$/g, ''))
    .filter((label) => label !== '')
    .join('.');

/** The owner of a VM is its administrator. Nobody comes in by a password. */
const loginOf = ({ name, sshKeys }: VmUser) => ({
  name,
  shell: '/bin/bash',
  lock_passwd: true,
  sudo: 'ALL=(ALL) NOPASSWD:ALL',
  ssh_authorized_keys: [...sshKeys],
});

function interfaceOf(network: SeedNetwork | null) {
  if (network === null) return { match: { name: 'e*' }, dhcp4: true };
  const { mac, address, gateway, nameservers } = network;
  const match = { macaddress: mac };
  if (address === null) return { match, dhcp4: true };
  return {
    match,
    addresses: [address],
    ...(gateway === null ? {} : { routes: [{ to: '0.0.0.0/0', via: gateway }] }),
    ...(nameservers.length === 0 ? {} : { nameservers: { addresses: [...nameservers] } }),
  };
}

/**
 * As YAML 1.1, which cloud-init reads: there `no`, `0b11` and `2024-01-01` are no texts unless they
 * are quoted. Texts stay on one line: a key that is broken over two is none.
 */
const yaml = (value: unknown): string =>
  stringify(value, {
    lineWidth: 0,
    version: '1.1',
    defaultStringType: 'QUOTE_DOUBLE',
    defaultKeyType: 'PLAIN',
  });

/** Makes the ISO. What is at the path already is left as it is only if nothing replaces it whole. */
export async function writeSeed(path: string, files: SeedFiles): Promise<void> {
  const folder = `${path}.files`;
  const made = `${path}.tmp`;
  try {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: 0o700 });
    for (const name of SEED_FILES) {
      await writeFile(join(folder, name), files[name], { mode: 0o600 });
    }
    const args = ['-quiet', '-V', 'cidata', '-J', '-r', '-o', made, ...SEED_FILES];
    await runProgram('genisoimage', args, { cwd: folder }).catch((error: unknown) => {
      if (!(error instanceof ProgramError) || !error.isMissing) throw error;
      return runProgram('xorriso', ['-as', 'mkisofs', ...args], { cwd: folder });
    });
    await rename(made, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
    await rm(made, { force: true });
  }
}
