/**
 * The part of the configuration that is about one host and goes to its agent: what it has, as far as
 * the operator says so, and what it may give. Which variable sets which key stands in
 * host-variables.ts; docs/agent-resources.md tells what comes of it.
 */
import { z } from 'zod';
import type { HostSettings } from '../agent/host-settings.js';
import { isInterfaceName } from '../std/routes.js';
import { parseRate, parseSize, QuantityError } from '../std/quantity.js';

const OVERCOMMIT_MAX = 64;
const MIB = 1024 * 1024;

/** A bare number counts bytes. */
const quantity = (parse: (text: string) => number) =>
  z
    .union([z.string(), z.number()], 'must be a number of bytes, or a number with a unit')
    .transform((value, context) => {
      try {
        return parse(value.toString());
      } catch (error) {
        if (!(error instanceof QuantityError)) throw error;
        context.addIssue({ code: 'custom', message: error.message });
        return z.NEVER;
      }
    });

const size = quantity(parseSize);
const rate = quantity(parseRate);

/** Who writes 32 and means GiB must not get no limit at all. */
const sizeOfVms = size
  .refine(
    (bytes) => bytes === 0 || bytes >= MIB,
    'must be 0 (no limit), or at least 1 MiB: a number without a unit counts bytes',
  )
  .default(0);

const bounded = (least: number, most: number, rule: string) =>
  z.number(rule).min(least, rule).max(most, rule);

const FACTOR_RULE = `must be a number above 0, up to ${OVERCOMMIT_MAX.toString()}`;
const factor = bounded(Number.MIN_VALUE, OVERCOMMIT_MAX, FACTOR_RULE).optional();

const burst = z
  .int('must be a whole number from 1 to 100')
  .min(1, 'must be a whole number from 1 to 100')
  .max(100, 'must be a whole number from 1 to 100');

const SHARE_RULE = 'must be a number above 0, up to 1';

const vcpus = z
  .int('must be a whole number from 0 to 1000000')
  .min(0, 'must be a whole number from 0 to 1000000')
  .max(1_000_000, 'must be a whole number from 0 to 1000000');

export const hostFields = z.strictObject({
  overcommit: z
    .strictObject({ cpu: factor, memory: factor, disk: factor, network: factor, diskIo: factor })
    .prefault({}),
  capacity: z
    .strictObject({
      disk: size.optional(),
      network: rate.optional(),
      diskIo: rate.default(1_000_000_000),
    })
    .prefault({}),
  uplink: z.string().refine(isInterfaceName, 'must be the name of an interface').optional(),
  limits: z
    .strictObject({
      vcpusPerVm: vcpus.default(0),
      memoryPerVm: sizeOfVms,
      diskPerVm: sizeOfVms,
      vcpusInAll: vcpus.default(0),
      memoryInAll: sizeOfVms,
      imageShare: bounded(Number.MIN_VALUE, 1, SHARE_RULE).default(0.2),
    })
    .prefault({}),
  burst: z
    .strictObject({
      download: burst.default(4),
      upload: burst.default(4),
      diskIo: burst.default(4),
    })
    .prefault({}),
});

/** As the agent takes it: by class, in the class's unit; 0 is no limit. */
export function hostSettingsOf(host: z.output<typeof hostFields>): HostSettings {
  const { overcommit, capacity, limits, uplink } = host;
  const { cpu, memory, disk, network, diskIo } = overcommit;
  return {
    overcommit: present({ cpu, memory, disk, network, disk_io: diskIo }),
    maxInAll: present({
      cpu: orNone(limits.vcpusInAll),
      memory: orNone(Math.floor(limits.memoryInAll / MIB)),
    }),
    maxPerVm: present({
      cpu: orNone(limits.vcpusPerVm),
      memory: orNone(Math.floor(limits.memoryPerVm / MIB)),
      disk: orNone(Math.floor(limits.diskPerVm / MIB)),
    }),
    diskLimitBytes: capacity.disk,
    networkBytesPerS: capacity.network,
    diskIoBytesPerS: capacity.diskIo,
    uplink,
    burst: host.burst,
    imageShare: limits.imageShare,
  };
}

const orNone = (amount: number): number | undefined => (amount === 0 ? undefined : amount);

const present = (amounts: Readonly<Record<string, number | undefined>>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(amounts).flatMap(([name, amount]) =>
      amount === undefined ? [] : [[name, amount] as const],
    ),
  );
