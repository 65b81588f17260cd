/**
 * The shape of the configuration: every key with its range and default. How keys get their values
 * (file, environment) is config.ts's part; which variable sets which key stands in
 * config-variables.ts.
 */
import { z } from 'zod';
import { subnetOf } from '../agent/network/subnet.js';
import { isNetwork, PRIVATE_NETWORKS } from '../fleet/addresses.js';
import { NAME_PATTERN } from '../model/ids.js';
import type { CapacityPolicy } from '../model/inventory.js';
import { CHANGES_KEPT } from '../model/stores/fleet-watch.js';
import { ON_MISSING } from '../model/stores/orphans.js';
import { WAITING_DEADLINE_S_MAX } from '../model/waiting.js';
import { STRATEGY_NAMES } from '../model/strategies.js';
import { hostFields } from './host-config.js';

/** A whole number within limits, its message naming both. */
const whole = (min: number, max: number) => {
  const message = `must be a whole number from ${min.toString()} to ${max.toString()}`;
  return z.int(message).min(min, message).max(max, message);
};

const OVERCOMMIT_MAX = 64;

/** A share of the total; 1 would leave nothing to book. */
const share = z
  .number('must be a number from 0 to below 1')
  .min(0, 'must be a number from 0 to below 1')
  .lt(1, 'must be a number from 0 to below 1');

/** 0 would open at any loss of `hostsMin` hosts; at 1 it never opens, as more than all cannot be. */
const breakerShare = z
  .number('must be a number from 0 to 1')
  .min(0, 'must be a number from 0 to 1')
  .max(1, 'must be a number from 0 to 1');

const weight = z
  .number('must be a number from 0 to 1000')
  .min(0, 'must be a number from 0 to 1000')
  .max(1000, 'must be a number from 0 to 1000');

const name = z
  .string()
  .regex(
    NAME_PATTERN,
    'must be 1 to 63 letters, digits, ".", "_" or "-", and begin and end with a letter or digit',
  );

const bind = z
  .string()
  .regex(/^[A-Za-z0-9.:_-]{1,253}$/, 'must be an IP address or a host name, without a port');

/** Printable, without spaces: it travels in an Authorization header. */
const token = z
  .string()
  .regex(/^[\x21-\x7e]{8,256}$/, 'must be 8 to 256 printable characters without spaces');

const httpUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' })
  .transform((url) => url.replace(/\/+$/, ''));

/** A list, or its entries with commas between them, as a variable has it. */
const networks = z.preprocess(
  (value) => (typeof value === 'string' ? value.split(',').map((one) => one.trim()) : value),
  z
    .array(z.string())
    .min(1, 'must name a network: no agent could join')
    .refine((all) => all.every(isNetwork), 'must be networks in CIDR notation, such as 10.0.0.0/8'),
);

const redisUrl = z
  .string()
  .regex(
    /^(rediss?:\/\/[^\s/]|(unix:\/\/)?\/[^\s/])/,
    'must be a redis:// or rediss:// URL or the path of a unix socket',
  )
  // The client library knows socket paths, but not the unix:// in front of them.
  .transform((url) => url.replace(/^unix:\/\//, ''));

/** A list, or its entries with commas between them, as a variable has it. */
const redisNodes = z.preprocess(
  (value) => (typeof value === 'string' ? value.split(',').map((one) => one.trim()) : value),
  z
    .array(
      z
        .string()
        .regex(
          /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$/,
          'must be host:port, such as 10.0.0.2:26379',
        ),
    )
    .min(1, 'must name a node'),
);

/** A secret that a server is shown; it may be any text. */
const secret = z.string().min(1, 'must not be empty');

const flag = z.preprocess(
  (value) => (value === 'true' ? true : value === 'false' ? false : value),
  z.boolean('must be true or false'),
);

const databaseUrl = z
  .string()
  .regex(/^postgres(ql)?:\/\/\S+$/, 'must be a postgres:// or postgresql:// URL');

const interfaceName = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9._-]{0,14}$/, 'must be the name of an interface, such as br0');

const SUBNET_RULE =
  'must be an IPv4 network in CIDR notation, /8 to /30, such as 10.20.0.0/24 (its first address)';

/** How VMs of a host reach the world. */
const agentNetwork = z.strictObject({
  mode: z.enum(['auto', 'tap', 'user']).default('auto'),
  bridge: interfaceName.default('berth0'),
  uplink: interfaceName.optional(),
  subnetCidr: z
    .string()
    .refine((cidr) => subnetOf(cidr) !== null, SUBNET_RULE)
    .optional(),
});

const PERIOD_RULE =
  'must be seconds that divide 60 (such as 5, 10, 15, 30), or whole minutes that divide an hour (60 to 3600 seconds)';

/** What a cron line says evenly: every 7 minutes would be 4 at the turn of the hour. */
const periodS = z
  .int(PERIOD_RULE)
  .refine(
    (value) =>
      value > 0 && (value < 60 ? 60 % value === 0 : value % 60 === 0 && 3600 % value === 0),
    PERIOD_RULE,
  );

const fields = z.strictObject({
  server: z
    .strictObject({ port: whole(0, 65_535).default(8080), bind: bind.default('127.0.0.1') })
    .prefault({}),
  auth: z.strictObject({ adminToken: token.optional() }).prefault({}),
  api: z
    .strictObject({
      ratePerTokenPerS: whole(1, 1_000_000).default(2000),
      ratePerTenantPerS: whole(1, 1_000_000).default(100),
      failedAuthPerMinute: whole(1, 1_000_000).default(60),
    })
    .prefault({}),
  fleet: z.strictObject({ networks: networks.default([...PRIVATE_NETWORKS]) }).prefault({}),
  log: z
    .strictObject({
      level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
      format: z.enum(['auto', 'json', 'pretty']).default('auto'),
    })
    .prefault({}),
  dataDir: z.string().min(1, 'must name a folder').default('./.berth'),
  redis: z
    .strictObject({
      url: redisUrl.optional(),
      sentinels: redisNodes.optional(),
      sentinelName: name.optional(),
      cluster: redisNodes.optional(),
      username: name.optional(),
      password: secret.optional(),
      sentinelUsername: name.optional(),
      sentinelPassword: secret.optional(),
      tls: flag.default(false),
      caFile: z.string().min(1, 'must name a file').optional(),
      cell: name.default('main'),
    })
    .prefault({}),
  database: z
    .strictObject({ url: databaseUrl.optional(), poolMax: whole(1, 100).default(10) })
    .prefault({}),
  // These three names are a published contract, hence their spelling.
  cpu_overcommit: z
    .number(`must be a number above 0, up to ${OVERCOMMIT_MAX.toString()}`)
    .gt(0, `must be a number above 0, up to ${OVERCOMMIT_MAX.toString()}`)
    .max(OVERCOMMIT_MAX, `must be a number above 0, up to ${OVERCOMMIT_MAX.toString()}`)
    .default(4),
  mem_reserve_pct: share.default(0.1),
  disk_reserve_pct: share.default(0.1),
  placement: z
    .strictObject({
      strategy: z.enum(STRATEGY_NAMES).default('cosine'),
      weights: z
        .strictObject({
          cpu: weight.default(1),
          memory: weight.default(1),
          disk: weight.default(1),
        })
        .prefault({}),
      reserveLarge: whole(0, 1_000).default(0),
      randomTop: whole(1, 100).default(1),
      attemptsMax: whole(1, 100).default(3),
      queueMax: whole(1, 100_000).default(2000),
      batchMax: whole(1, 4096).default(256),
      deadlineMs: whole(100, 60_000).default(5000),
      waitingDeadlineS: whole(1, WAITING_DEADLINE_S_MAX).default(3600),
    })
    .prefault({}),
  health: z
    .strictObject({
      periodS: periodS.default(30),
      concurrencyMax: whole(1, 1024).default(64),
      deadlineMs: whole(100, 60_000).default(4000),
      breaker: z
        .strictObject({
          share: breakerShare.default(0.3),
          hostsMin: whole(1, 100_000).default(3),
          /** Three periods, where absent. */
          windowS: whole(1, 86_400).optional(),
        })
        .prefault({}),
      flapping: z
        .strictObject({
          changesMax: whole(2, CHANGES_KEPT).default(6),
          windowS: whole(60, 86_400).default(3600),
          cordonS: whole(60, 604_800).default(3600),
        })
        .prefault({}),
    })
    .prefault({}),
  reconcile: z.strictObject({ onMissing: z.enum(ON_MISSING).default('mark') }).prefault({}),
  lifecycle: z
    .strictObject({
      leaseMs: whole(1000, 600_000).default(10_000),
      tickMs: whole(50, 60_000).default(1000),
      concurrencyMax: whole(1, 1024).default(512),
      perHostMax: whole(1, 1024).default(8),
    })
    .prefault({}),
  ledger: z
    .strictObject({
      lockLeaseMs: whole(200, 60_000).default(3000),
      lockHoldMs: whole(10, 60_000).default(500),
      bookingLeaseMs: whole(1000, 600_000).default(10_000),
    })
    .prefault({}),
  agent: z
    .strictObject({
      port: whole(0, 65_535).default(8081),
      bind: bind.default('127.0.0.1'),
      address: httpUrl.optional(),
      joinToken: token.optional(),
      name: name.optional(),
      zone: name.default('default'),
      driver: z.enum(['auto', 'qemu', 'simulated']).default('auto'),
      vmUser: name.default('nobody'),
      powerOffLimitS: whole(1, 3600).default(30),
      controlPlaneUrl: httpUrl.default('http://127.0.0.1:8080'),
      network: agentNetwork.prefault({}),
    })
    .prefault({}),
  host: hostFields.prefault({}),
  events: z
    .strictObject({
      heartbeatS: whole(1, 300).default(15),
      readersMax: whole(1, 10_000).default(100),
      keepDays: whole(1, 365).default(7),
    })
    .prefault({}),
  audit: z.strictObject({ keepDays: whole(1, 36_500).default(365) }).prefault({}),
  shutdown: z.strictObject({ limitMs: whole(100, 600_000).default(10_000) }).prefault({}),
});

type RedisSettings = z.output<typeof fields>['redis'];

/** One Redis, told in one way. */
function faultsOfRedis(redis: RedisSettings): readonly (readonly [string, string])[] {
  const { url, sentinels, sentinelName, cluster, tls, caFile } = redis;
  const ways = Object.entries({ url, sentinels, cluster }).filter(([, way]) => way !== undefined);
  const [first, second] = ways.map(([key]) => key);
  const isTls = tls || (url !== undefined && isTlsUrl(url));
  const faults: (readonly [string, boolean, string])[] = [
    [second ?? '', second !== undefined, `redis.${first ?? ''} names a Redis already: keep one`],
    [
      'sentinelName',
      sentinels !== undefined && sentinelName === undefined,
      'must name the master, as the Sentinels know it',
    ],
    [
      'sentinelName',
      sentinels === undefined && sentinelName !== undefined,
      'goes with redis.sentinels',
    ],
    ['tls', tls && url !== undefined && !isTlsUrl(url), 'needs a rediss:// URL'],
    ['caFile', caFile !== undefined && !isTls, 'goes with a rediss:// URL or redis.tls'],
    [
      'password',
      redis.password !== undefined && url !== undefined && holdsAnother(url, redis.password),
      'is not the password that stands in redis.url: keep one',
    ],
  ];
  return faults.flatMap(([key, isWrong, message]) => (isWrong ? [[key, message] as const] : []));
}

const isTlsUrl = (url: string): boolean => url.startsWith('rediss://');

function holdsAnother(url: string, password: string): boolean {
  if (!URL.canParse(url)) return false;
  const own = new URL(url).password;
  return own !== '' && own !== password && own !== encodeURIComponent(password);
}

/** The whole configuration, with the rules that span two keys. */
export const settingsSchema = fields.superRefine((settings, context) => {
  const { redis, ledger, lifecycle, health, placement } = settings;
  const refuse = (path: string[], message: string) => {
    context.addIssue({ code: 'custom', path, message });
  };
  for (const [key, message] of faultsOfRedis(redis)) refuse(['redis', key], message);
  if (ledger.lockHoldMs >= ledger.lockLeaseMs) {
    refuse(['ledger', 'lockHoldMs'], 'must be shorter than ledger.lockLeaseMs');
  }
  if (lifecycle.leaseMs <= 2 * health.deadlineMs) {
    // The lease must outlive the two agent calls that one step may make.
    refuse(['lifecycle', 'leaseMs'], 'must be more than twice health.deadlineMs');
  }
  if (ledger.bookingLeaseMs <= placement.deadlineMs) {
    refuse(['ledger', 'bookingLeaseMs'], 'must be longer than placement.deadlineMs');
  }
  const weights = Object.values(placement.weights);
  if (weights.every((value) => value === 0)) {
    refuse(['placement', 'weights'], 'must not all be 0: nothing would be ranked');
  }
});

export type Settings = z.output<typeof settingsSchema>;

/** Links and disks are seldom all busy at once; of memory and disk space nothing is sold twice. */
const OVERCOMMIT_OF_RATES = { network: 2, disk_io: 2 };

/** The operator's part of every host's inventory, as `inventoryOf` takes it. */
export const capacityPolicyOf = (settings: Settings): CapacityPolicy => ({
  overcommit: { cpu: settings.cpu_overcommit, ...OVERCOMMIT_OF_RATES },
  reserve: { memory: settings.mem_reserve_pct, disk: settings.disk_reserve_pct },
});
