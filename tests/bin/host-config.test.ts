/** What the operator of one host may say: both spellings, units, and names that only look right. */
import { describe, expect, it } from '@jest/globals';
import { capacityPolicyOf } from '../../src/bin/config-schema.js';
import { VARIABLES } from '../../src/bin/config-variables.js';
import { ConfigError, loadConfig, type Environment } from '../../src/bin/config.js';
import { hostSettingsOf } from '../../src/bin/host-config.js';

const settingsWith = (env: Environment) => hostSettingsOf(loadConfig({ env }).host);

/** Each problem as `source: message`. */
function problemsWith(env: Environment): readonly string[] {
  try {
    loadConfig({ env });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, source, message }) =>
      source === 'environment' ? `${path} ${message}` : `${source} ${message}`,
    );
  }
  return [];
}

describe('a host of which nothing is said', () => {
  it('is measured; only its disks are taken to be of common speed', () => {
    expect(settingsWith({})).toEqual({
      overcommit: {},
      maxInAll: {},
      maxPerVm: {},
      diskLimitBytes: undefined,
      networkBytesPerS: undefined,
      diskIoBytesPerS: 1_000_000_000,
      uplink: undefined,
      burst: { download: 4, upload: 4, diskIo: 4 },
      imageShare: 0.2,
    });
  });

  it('is sold by the policy of the control plane', () => {
    expect(capacityPolicyOf(loadConfig({ env: {} }))).toEqual({
      overcommit: { cpu: 4, network: 2, disk_io: 2 },
      reserve: { memory: 0.1, disk: 0.1 },
    });
  });
});

describe('the variables of a host', () => {
  const said: readonly (readonly [string, string, string, object])[] = [
    ['OVERSUB_CPU', 'OVERSUBSCRIPTION__CPU', '2', { overcommit: { cpu: 2 } }],
    ['OVERSUB_MEMORY', 'OVERSUBSCRIPTION__MEMORY', '1.5', { overcommit: { memory: 1.5 } }],
    ['OVERSUB_DISK', 'OVERSUBSCRIPTION__DISK', '2', { overcommit: { disk: 2 } }],
    ['OVERSUB_NETWORK', 'OVERSUBSCRIPTION__NETWORK', '3', { overcommit: { network: 3 } }],
    ['OVERSUB_DISK_IO', 'OVERSUBSCRIPTION__DISK_IO', '3', { overcommit: { disk_io: 3 } }],
    ['DISK_LIMIT', 'CAPACITY__DISK', '500GB', { diskLimitBytes: 536_870_912_000 }],
    ['NETWORK_LIMIT', 'CAPACITY__NETWORK', '10Gbps', { networkBytesPerS: 1_250_000_000 }],
    ['NETWORK_LIMIT', 'CAPACITY__NETWORK', '0', { networkBytesPerS: 0 }],
    ['DISK_IO_LIMIT', 'CAPACITY__DISK_IO', '500MB/s', { diskIoBytesPerS: 524_288_000 }],
    ['UPLINK_INTERFACE', 'NETWORK__UPLINK_INTERFACE', 'bond0', { uplink: 'bond0' }],
    ['MAX_VCPUS_PER_INSTANCE', 'LIMITS__MAX_VCPUS_PER_INSTANCE', '16', { maxPerVm: { cpu: 16 } }],
    [
      'MAX_MEMORY_PER_INSTANCE',
      'LIMITS__MAX_MEMORY_PER_INSTANCE',
      '32GB',
      { maxPerVm: { memory: 32_768 } },
    ],
    ['MAX_OVERLAY_SIZE', 'LIMITS__MAX_OVERLAY_SIZE', '100GB', { maxPerVm: { disk: 102_400 } }],
    ['MAX_TOTAL_VCPUS', 'LIMITS__MAX_TOTAL_VCPUS', '64', { maxInAll: { cpu: 64 } }],
    ['MAX_TOTAL_MEMORY', 'LIMITS__MAX_TOTAL_MEMORY', '1GB', { maxInAll: { memory: 1_024 } }],
    ['MAX_IMAGE_STORAGE', 'LIMITS__MAX_IMAGE_STORAGE', '0.5', { imageShare: 0.5 }],
    [
      'DOWNLOAD_BURST_MULTIPLIER',
      'NETWORK__DOWNLOAD_BURST_MULTIPLIER',
      '2',
      { burst: { download: 2, upload: 4 } },
    ],
    [
      'UPLOAD_BURST_MULTIPLIER',
      'NETWORK__UPLOAD_BURST_MULTIPLIER',
      '1',
      { burst: { download: 4, upload: 1 } },
    ],
    [
      'DISK_IO_BURST_MULTIPLIER',
      'CAPACITY__DISK_IO_BURST_MULTIPLIER',
      '2',
      { burst: { download: 4, upload: 4, diskIo: 2 } },
    ],
  ];

  it.each(said)('%s and %s mean the same', (name, alias, value, settings) => {
    expect(settingsWith({ [name]: value })).toMatchObject(settings);
    expect(settingsWith({ [alias]: value })).toMatchObject(settings);
    expect(settingsWith({ [name]: value, [alias]: value })).toMatchObject(settings);
  });

  it('limit VMs from 1 MiB on, and not at all by 0', () => {
    expect(settingsWith({ MAX_MEMORY_PER_INSTANCE: '1048576' }).maxPerVm).toEqual({ memory: 1 });
    expect(settingsWith({ MAX_MEMORY_PER_INSTANCE: '0' }).maxPerVm).toEqual({});
  });

  it('are all tried here', () => {
    const spelled = VARIABLES.flatMap(({ name, alias }) => (alias === undefined ? [] : [name]));
    expect(new Set(said.map(([name]) => name))).toEqual(new Set(spelled));
  });

  it('leave the factor of the control plane its name', () => {
    expect(problemsWith({ CPU_OVERCOMMIT: '3' })).toEqual([]);
  });

  it('may not say two things', () => {
    expect(problemsWith({ OVERSUB_CPU: '2', OVERSUBSCRIPTION__CPU: '3' })).toEqual([
      'OVERSUB_CPU says something else than OVERSUBSCRIPTION__CPU: keep one',
    ]);
  });

  it.each([
    ['OVERSUB_CPUS', 'OVERSUB_CPU'],
    ['OVERSUB_GPU', 'OVERSUB_CPU'],
    ['OVERSUBSCRIPTION_CPU', 'OVERSUBSCRIPTION__CPU'],
    ['OVERSUBSCRIPTION__DISKIO', 'OVERSUBSCRIPTION__DISK_IO'],
    ['NETWORKS_LIMIT', 'NETWORK_LIMIT'],
    ['NET_LIMIT', 'NETWORK_LIMIT'],
    ['DISKS_LIMIT', 'DISK_LIMIT'],
    ['MEMORY_LIMIT', 'MAX_TOTAL_MEMORY'],
    ['CPU_LIMIT', 'MAX_TOTAL_VCPUS'],
    ['CAPACITY__MEMORY', 'MAX_TOTAL_MEMORY'],
    ['LIMITS__MAX_TOTAL_VCPU', 'LIMITS__MAX_TOTAL_VCPUS'],
    ['MAX_VCPUS_PER_VM', 'MAX_VCPUS_PER_INSTANCE'],
    ['UPLINK_IFACE', 'UPLINK_INTERFACE'],
    ['STORAGE_LIMIT', 'DISK_LIMIT'],
    ['VOLUME_LIMIT', 'DISK_LIMIT'],
    ['MAX_TOTAL_VOLUME_STORAGE', 'DISK_LIMIT'],
    ['DOWNLOAD_LIMIT', 'NETWORK_LIMIT'],
    ['NETWORK_LIMT', 'NETWORK_LIMIT'],
    ['NETWROK_LIMIT', 'NETWORK_LIMIT'],
    ['OVRSUB_CPU', 'OVERSUB_CPU'],
    ['MAX_VCPU_PER_INSTANCE', 'MAX_VCPUS_PER_INSTANCE'],
    ['MEMORY_OVERCOMMIT', 'OVERSUB_MEMORY'],
    ['CAPACITY_DISK', 'CAPACITY__DISK'],
    ['LIMITS_MAX_TOTAL_VCPUS', 'LIMITS__MAX_TOTAL_VCPUS'],
    ['NETWORK__BRIDGE_NAME', 'AGENT_NETWORK_BRIDGE'],
    ['BRIDGE_NAME', 'AGENT_NETWORK_BRIDGE'],
    ['SUBNET_CIDR', 'AGENT_NETWORK_SUBNET'],
  ])('are not %s: %s is meant', (wrong, right) => {
    expect(problemsWith({ [wrong]: '1' })).toEqual([
      `${wrong} is not known; did you mean ${right}?`,
    ]);
  });

  it.each([
    'RATE_LIMIT',
    'SESSION_LIMIT',
    'HISTORY_LIMIT',
    'ULIMIT',
    'NETWORK_NAME',
    'MAX_OLD_SPACE',
    'COMPOSER_MEMORY_LIMIT',
    'OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT',
    'API_RATE_LIMIT',
    'LIMIT',
  ])('do not include %s, which is somebody else’s', (name) => {
    expect(problemsWith({ [name]: 'x' })).toEqual([]);
  });

  it.each([
    [{ NETWORK_LIMIT: '1GBps' }, /^NETWORK_LIMIT .* may mean bits or bytes/],
    [{ DISK_LIMIT: '-5GB' }, /^DISK_LIMIT .* must not be negative/],
    [{ MAX_MEMORY_PER_INSTANCE: '32' }, /^MAX_MEMORY_PER_INSTANCE must be 0 .*, or at least 1 MiB/],
    [{ MAX_OVERLAY_SIZE: '1048575' }, /^MAX_OVERLAY_SIZE must be 0 .*, or at least 1 MiB/],
    [{ MAX_TOTAL_MEMORY: '512kB' }, /^MAX_TOTAL_MEMORY must be 0 .*, or at least 1 MiB/],
    [{ DISK_LIMIT: '16EB' }, /^DISK_LIMIT .* is too large/],
    [{ DISK_IO_LIMIT: 'fast' }, /^DISK_IO_LIMIT .* is not a rate/],
    [{ OVERSUB_MEMORY: '0' }, /^OVERSUB_MEMORY must be a number above 0/],
    [{ OVERSUB_MEMORY: '-1' }, /^OVERSUB_MEMORY must be a number above 0/],
    [{ OVERSUB_CPU: 'many' }, /^OVERSUB_CPU must be a number above 0/],
    [{ UPLOAD_BURST_MULTIPLIER: '0' }, /^UPLOAD_BURST_MULTIPLIER must be a whole number/],
    [{ UPLINK_INTERFACE: '../eth0' }, /^UPLINK_INTERFACE must be the name of an interface/],
  ])('are refused as %j', (env, problem) => {
    expect(problemsWith(env)).toEqual([expect.stringMatching(problem)]);
  });
});
