/**
 * Variables by which the operator of one host speaks to its agent. They have two spellings, a plain
 * one and one with the levels of a file; what only looks like one of them is refused, because a limit
 * that is silently not there is found out too late.
 */
import { editDistance } from '../std/edit-distance.js';

interface HostVariable {
  readonly name: string;
  /** The other spelling. */
  readonly alias: string;
  readonly key: string;
  readonly help: string;
}

const variable = (name: string, alias: string, key: string, help: string): HostVariable => ({
  ...{ name, alias, key: `host.${key}` },
  help: `${help} Or ${alias}.`,
});

const oversub = (word: string, key: string, what: string, unset: string): HostVariable =>
  variable(
    `OVERSUB_${word}`,
    `OVERSUBSCRIPTION__${word}`,
    `overcommit.${key}`,
    `How many times the ${what} of this host may be promised. Unset = ${unset}.`,
  );

export const HOST_VARIABLES: readonly HostVariable[] = [
  oversub('CPU', 'cpu', 'CPUs', 'as CPU_OVERCOMMIT'),
  oversub('MEMORY', 'memory', 'memory', '1'),
  oversub('DISK', 'disk', 'disk', '1'),
  oversub('NETWORK', 'network', 'network', '2'),
  oversub('DISK_IO', 'diskIo', 'disk I/O', '2'),
  variable(
    'DISK_LIMIT',
    'CAPACITY__DISK',
    'capacity.disk',
    'What of the disk of this host may be used, such as 500GB. Unset = what is free.',
  ),
  variable(
    'NETWORK_LIMIT',
    'CAPACITY__NETWORK',
    'capacity.network',
    'How fast the link of this host is, such as 10Gbps. Unset = what its driver says.',
  ),
  variable(
    'DISK_IO_LIMIT',
    'CAPACITY__DISK_IO',
    'capacity.diskIo',
    'How fast the disks of this host are, in bytes/s or such as 500MB/s.',
  ),
  variable(
    'UPLINK_INTERFACE',
    'NETWORK__UPLINK_INTERFACE',
    'uplink',
    'Interface that VMs share. Unset = that of the best default route.',
  ),
  variable(
    'MAX_VCPUS_PER_INSTANCE',
    'LIMITS__MAX_VCPUS_PER_INSTANCE',
    'limits.vcpusPerVm',
    'vCPUs that one VM may have on this host. 0 = no limit.',
  ),
  variable(
    'MAX_MEMORY_PER_INSTANCE',
    'LIMITS__MAX_MEMORY_PER_INSTANCE',
    'limits.memoryPerVm',
    'Memory that one VM may have on this host, such as 32GB. 0 = no limit.',
  ),
  variable(
    'MAX_OVERLAY_SIZE',
    'LIMITS__MAX_OVERLAY_SIZE',
    'limits.diskPerVm',
    'Disk that one VM may have on this host, such as 100GB. 0 = no limit.',
  ),
  variable(
    'MAX_TOTAL_VCPUS',
    'LIMITS__MAX_TOTAL_VCPUS',
    'limits.vcpusInAll',
    'vCPUs that all VMs together may have on this host. 0 = no limit but the overcommit.',
  ),
  variable(
    'MAX_TOTAL_MEMORY',
    'LIMITS__MAX_TOTAL_MEMORY',
    'limits.memoryInAll',
    'Memory that all VMs together may have on this host, such as 256GB. 0 = no limit but the overcommit.',
  ),
  variable(
    'MAX_IMAGE_STORAGE',
    'LIMITS__MAX_IMAGE_STORAGE',
    'limits.imageShare',
    'Share of the disk that images may take: 0.2 = a fifth.',
  ),
  variable(
    'DOWNLOAD_BURST_MULTIPLIER',
    'NETWORK__DOWNLOAD_BURST_MULTIPLIER',
    'burst.download',
    'How many times its download limit a VM may take for a moment.',
  ),
  variable(
    'UPLOAD_BURST_MULTIPLIER',
    'NETWORK__UPLOAD_BURST_MULTIPLIER',
    'burst.upload',
    'How many times its upload limit a VM may take for a moment.',
  ),
  variable(
    'DISK_IO_BURST_MULTIPLIER',
    'CAPACITY__DISK_IO_BURST_MULTIPLIER',
    'burst.diskIo',
    'How many times its disk I/O limit a VM may take for a moment.',
  ),
];

/** Names that are meant for these variables, whatever they are. */
const FAMILY = new RegExp(
  [
    '^OVER(SUB|COMMIT)',
    '_OVERCOMMIT$',
    '^(CAPACITY|LIMITS)_',
    '^NETWORK__',
    '_LIMITS?$',
    '^MAX_(VCPUS|MEMORY|OVERLAY|TOTAL|IMAGE)_',
    '_BURST_MULTIPLIER$',
    '^UPLINK_',
    '^(BRIDGE_NAME|SUBNET_CIDR)$',
  ].join('|'),
);

/** Programs that have limits of their own, by how the names of their variables begin. */
const STRANGERS = 'COMPOSER|DOCKER|GIT|JAVA|JVM|K8S|KUBERNETES|NODE|NPM|OTEL|PHP|PYTHON|WP';

/** What other programs limit, and this one does not by the environment. */
const FOREIGN_SUBJECTS =
  'API|BODY|CONN|CONNECTIONS?|COUNT|DEPTH|ERRORS?|FILES?|HEADERS?|HEAP|HISTORY|LENGTH|LINES?|LOGS?|LOGIN|NOFILE|NPROC|PAGES?|PASSWORD|PROCESS(ES)?|QUERY|RATE|RECURSION|REQUESTS?|RETRY|RETRIES|ROWS?|SESSIONS?|STACK|THREADS?|TIME|TOKENS?';

const FOREIGN = new RegExp(`^(${STRANGERS})_|(^|_)(${FOREIGN_SUBJECTS})_LIMITS?$`);

/** Letters by which a name of ours may be mistyped; more is another name. */
const TYPING_ERRORS_MAX = 2;

/** What people look for under another name, by what no spelling tells. */
const RIGHT_NAMES: Readonly<Record<string, string>> = {
  CPU_LIMIT: 'MAX_TOTAL_VCPUS',
  VCPU_LIMIT: 'MAX_TOTAL_VCPUS',
  CAPACITY__CPU: 'MAX_TOTAL_VCPUS',
  MEM_LIMIT: 'MAX_TOTAL_MEMORY',
  MEMORY_LIMIT: 'MAX_TOTAL_MEMORY',
  CAPACITY__MEMORY: 'MAX_TOTAL_MEMORY',
  NET_LIMIT: 'NETWORK_LIMIT',
  BANDWIDTH_LIMIT: 'NETWORK_LIMIT',
  IO_LIMIT: 'DISK_IO_LIMIT',
  DOWNLOAD_LIMIT: 'NETWORK_LIMIT',
  UPLOAD_LIMIT: 'NETWORK_LIMIT',
  STORAGE_LIMIT: 'DISK_LIMIT',
  VOLUME_LIMIT: 'DISK_LIMIT',
  VOLUMES_LIMIT: 'DISK_LIMIT',
  MAX_TOTAL_VOLUME_STORAGE: 'DISK_LIMIT',
  LIMITS__MAX_TOTAL_VOLUME_STORAGE: 'DISK_LIMIT',
  MEM_OVERCOMMIT: 'OVERSUB_MEMORY',
  MEMORY_OVERCOMMIT: 'OVERSUB_MEMORY',
  DISK_OVERCOMMIT: 'OVERSUB_DISK',
  DISK_IO_OVERCOMMIT: 'OVERSUB_DISK_IO',
  NETWORK_OVERCOMMIT: 'OVERSUB_NETWORK',
  CAPACITY_CPU: 'MAX_TOTAL_VCPUS',
  CAPACITY_MEMORY: 'MAX_TOTAL_MEMORY',
  BRIDGE_NAME: 'AGENT_NETWORK_BRIDGE',
  NETWORK__BRIDGE_NAME: 'AGENT_NETWORK_BRIDGE',
  SUBNET_CIDR: 'AGENT_NETWORK_SUBNET',
  NETWORK__SUBNET_CIDR: 'AGENT_NETWORK_SUBNET',
  IMAGE_LIMIT: 'MAX_IMAGE_STORAGE',
  MAX_VCPUS_PER_VM: 'MAX_VCPUS_PER_INSTANCE',
  MAX_MEMORY_PER_VM: 'MAX_MEMORY_PER_INSTANCE',
};

export const isOfHostFamily = (name: string): boolean =>
  (FAMILY.test(name) && !FOREIGN.test(name)) || isMistyped(name);

const isMistyped = (name: string): boolean =>
  HOST_VARIABLES.some((known) =>
    [known.name, known.alias].some((right) => editDistance(name, right) <= TYPING_ERRORS_MAX),
  );

/** The name that is meant by another; null when none is known to be. */
export const rightHostName = (name: string): string | null => RIGHT_NAMES[name] ?? null;
