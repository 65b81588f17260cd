/**
 * Which environment variable sets which key: every key has one. This is the only list of them: config.ts reads it,
 * and a test compares .env.example with it.
 */

import { HOST_VARIABLES } from './host-variables.js';

export interface Variable {
  readonly name: string;
  /** Another spelling of it. */
  readonly alias?: string;
  /** Path of the key in the file, such as `server.port`. */
  readonly key: string;
  /** One line for people. */
  readonly help: string;
  /** The value is never printed. */
  readonly secret?: true;
  /** The key may not stand in the file, which is made to be reviewed and shared. */
  readonly environmentOnly?: true;
}

/** Names another file instead of resources/config.yaml. */
export const CONFIG_FILE_VARIABLE = 'BERTH_CONFIG';

/** Variables that set no key; the last four are read by docker-compose.yml alone. */
export const OTHER_VARIABLES: readonly Omit<Variable, 'key'>[] = [
  { name: CONFIG_FILE_VARIABLE, help: 'Another configuration file than resources/config.yaml.' },
  {
    name: 'BERTH_TOKEN',
    help: 'Token that the command line sends. Unset = the admin token in the data folder.',
    secret: true,
  },
  {
    name: 'POSTGRES_PASSWORD',
    help: 'For docker compose: the password of its PostgreSQL.',
    secret: true,
  },
  ...['1', '2', '3'].map((host) => ({
    name: `JOIN_TOKEN_${host}`,
    help: `For docker compose: with what its host-${host} joins for the first time.`,
    secret: true as const,
  })),
];

export const VARIABLES: readonly Variable[] = [
  { name: 'PORT', key: 'server.port', help: 'Port of the API and the console. 0 = any free one.' },
  { name: 'BIND', key: 'server.bind', help: 'Address that the API listens on.' },
  {
    name: 'BERTH_ADMIN_TOKEN',
    key: 'auth.adminToken',
    help: 'Token for people and programs that use the API. Unset = berth up makes one at its first start and keeps it in the data folder.',
    secret: true,
    environmentOnly: true,
  },
  {
    name: 'API_RATE_PER_TOKEN_PER_S',
    key: 'api.ratePerTokenPerS',
    help: 'Requests per second that one token may send to one replica; more are answered 429.',
  },
  {
    name: 'API_RATE_PER_TENANT_PER_S',
    key: 'api.ratePerTenantPerS',
    help: 'The same for all tokens of one tenant together.',
  },
  {
    name: 'API_FAILED_AUTH_PER_MINUTE',
    key: 'api.failedAuthPerMinute',
    help: 'Wrong tokens per minute from one address; more are answered 429.',
  },
  {
    name: 'FLEET_NETWORKS',
    key: 'fleet.networks',
    help: 'Networks in which agents may be, in CIDR notation, with commas between them.',
  },
  { name: 'LOG_LEVEL', key: 'log.level', help: 'debug, info, warn or error.' },
  {
    name: 'LOG_FORMAT',
    key: 'log.format',
    help: 'json, pretty, or auto: pretty on a terminal, json elsewhere.',
  },
  {
    name: 'BERTH_DATA_DIR',
    key: 'dataDir',
    help: 'Folder for everything that a single machine keeps: databases, tokens, agents.',
  },
  {
    name: 'REDIS_URL',
    key: 'redis.url',
    help: 'Redis of the ledger: a redis:// or rediss:// URL or a socket path. Unset = a private one is started.',
  },
  {
    name: 'REDIS_SENTINELS',
    key: 'redis.sentinels',
    help: 'Instead of REDIS_URL: Sentinels that watch the master, host:port with commas between them.',
  },
  {
    name: 'REDIS_SENTINEL_NAME',
    key: 'redis.sentinelName',
    help: 'Name of the master, as the Sentinels know it.',
  },
  {
    name: 'REDIS_CLUSTER',
    key: 'redis.cluster',
    help: 'Instead of REDIS_URL: some nodes of a Redis Cluster, host:port with commas between them.',
  },
  {
    name: 'REDIS_USERNAME',
    key: 'redis.username',
    help: 'User of the access control list of Redis. Unset = its default user.',
  },
  {
    name: 'REDIS_PASSWORD',
    key: 'redis.password',
    help: 'Password of Redis, where it does not stand in REDIS_URL; docker compose gives it to its Redis.',
    secret: true,
    environmentOnly: true,
  },
  {
    name: 'REDIS_SENTINEL_USERNAME',
    key: 'redis.sentinelUsername',
    help: 'User of the access control list of the Sentinels themselves.',
  },
  {
    name: 'REDIS_SENTINEL_PASSWORD',
    key: 'redis.sentinelPassword',
    help: 'Password of the Sentinels themselves.',
    secret: true,
    environmentOnly: true,
  },
  {
    name: 'REDIS_TLS',
    key: 'redis.tls',
    help: 'true: speak TLS with Sentinels or the cluster. A URL says it itself: rediss://.',
  },
  {
    name: 'REDIS_CA_FILE',
    key: 'redis.caFile',
    help: 'File with the authority (PEM) that signed the certificates of Redis. Unset = those that Node knows.',
  },
  { name: 'BERTH_CELL', key: 'redis.cell', help: 'Name of the cell: part of every Redis key.' },
  {
    name: 'DATABASE_URL',
    key: 'database.url',
    help: 'PostgreSQL of the catalogue: a postgres:// URL. Unset = an embedded one, for one process only.',
  },
  {
    name: 'DATABASE_POOL_MAX',
    key: 'database.poolMax',
    help: 'Connections to PostgreSQL that one replica opens at most.',
  },
  {
    name: 'CPU_OVERCOMMIT',
    key: 'cpu_overcommit',
    help: 'How many vCPUs may be sold for each CPU of a host.',
  },
  {
    name: 'MEM_RESERVE_PCT',
    key: 'mem_reserve_pct',
    help: 'Share of the memory of a host that is never booked: 0.1 = a tenth.',
  },
  {
    name: 'DISK_RESERVE_PCT',
    key: 'disk_reserve_pct',
    help: 'Share of the disk of a host that is never booked: 0.1 = a tenth.',
  },
  {
    name: 'PLACEMENT_STRATEGY',
    key: 'placement.strategy',
    help: 'How hosts are ranked, by strategy: see docs/placement.md.',
  },
  {
    name: 'PLACEMENT_WEIGHT_CPU',
    key: 'placement.weights.cpu',
    help: 'How much vCPUs count in the ranking.',
  },
  {
    name: 'PLACEMENT_WEIGHT_MEMORY',
    key: 'placement.weights.memory',
    help: 'How much memory counts in the ranking.',
  },
  {
    name: 'PLACEMENT_WEIGHT_DISK',
    key: 'placement.weights.disk',
    help: 'How much disk counts in the ranking.',
  },
  {
    name: 'PLACEMENT_RESERVE_LARGE',
    key: 'placement.reserveLarge',
    help: 'Places kept for each of the largest VMs that were asked for lately; 0 = none.',
  },
  {
    name: 'PLACEMENT_RANDOM_TOP',
    key: 'placement.randomTop',
    help: 'A VM goes to one of the best so many hosts, by lot; 1 = to the best.',
  },
  {
    name: 'PLACEMENT_ATTEMPTS_MAX',
    key: 'placement.attemptsMax',
    help: 'Hosts that a VM is tried on before it has failed.',
  },
  {
    name: 'PLACEMENT_QUEUE_MAX',
    key: 'placement.queueMax',
    help: 'Requests that may wait for a decision; more are answered 429.',
  },
  {
    name: 'PLACEMENT_BATCH_MAX',
    key: 'placement.batchMax',
    help: 'VMs that are placed and booked together at most.',
  },
  {
    name: 'PLACEMENT_DEADLINE_MS',
    key: 'placement.deadlineMs',
    help: 'Milliseconds that a request waits for a decision at most.',
  },
  {
    name: 'PLACEMENT_WAITING_DEADLINE_S',
    key: 'placement.waitingDeadlineS',
    help: 'Seconds that a create with whenFull "queue" waits for room when it does not say.',
  },
  {
    name: 'HEALTH_PERIOD_S',
    key: 'health.periodS',
    help: 'Seconds between two polls of a host: a divisor of 60, or of 3600 in whole minutes.',
  },
  {
    name: 'HEALTH_CONCURRENCY_MAX',
    key: 'health.concurrencyMax',
    help: 'Agents that one replica polls at once.',
  },
  {
    name: 'HEALTH_DEADLINE_MS',
    key: 'health.deadlineMs',
    help: 'Milliseconds that an agent has to answer any call.',
  },
  {
    name: 'HEALTH_BREAKER_SHARE',
    key: 'health.breaker.share',
    help: 'When more than this share of the hosts goes missing at once, Berth takes itself to be cut off. 0 to 1; 1 is never.',
  },
  {
    name: 'HEALTH_BREAKER_HOSTS_MIN',
    key: 'health.breaker.hostsMin',
    help: 'With fewer hosts missing, their loss is always taken to be real.',
  },
  {
    name: 'HEALTH_BREAKER_WINDOW_S',
    key: 'health.breaker.windowS',
    help: 'Seconds within which hosts go missing "at once". When unset, three periods.',
  },
  {
    name: 'HEALTH_FLAPPING_CHANGES_MAX',
    key: 'health.flapping.changesMax',
    help: 'Changes between up and not up within the window after which a host is cordoned. 2 to 50.',
  },
  {
    name: 'HEALTH_FLAPPING_WINDOW_S',
    key: 'health.flapping.windowS',
    help: 'Seconds over which the changes of a host are counted.',
  },
  {
    name: 'HEALTH_FLAPPING_CORDON_S',
    key: 'health.flapping.cordonS',
    help: 'Seconds after which the cordon of a flapping host ends by itself.',
  },
  {
    name: 'RECONCILE_ON_MISSING',
    key: 'reconcile.onMissing',
    help: 'What is done about a VM that its host has no more: mark (it is shown) or recreate (it is made anew, with an empty disk).',
  },
  {
    name: 'LIFECYCLE_LEASE_MS',
    key: 'lifecycle.leaseMs',
    help: 'Milliseconds that a VM belongs to the replica that works on it. Over twice HEALTH_DEADLINE_MS.',
  },
  {
    name: 'LIFECYCLE_TICK_MS',
    key: 'lifecycle.tickMs',
    help: 'Milliseconds between two looks of a replica for VMs with something to do.',
  },
  {
    name: 'LIFECYCLE_CONCURRENCY_MAX',
    key: 'lifecycle.concurrencyMax',
    help: 'VMs that one replica works on at once.',
  },
  {
    name: 'LIFECYCLE_PER_HOST_MAX',
    key: 'lifecycle.perHostMax',
    help: 'Of these, VMs of one host: a slow agent delays only itself.',
  },
  {
    name: 'LEDGER_LOCK_LEASE_MS',
    key: 'ledger.lockLeaseMs',
    help: 'Milliseconds that the placement lock outlives a replica that stopped.',
  },
  {
    name: 'LEDGER_LOCK_HOLD_MS',
    key: 'ledger.lockHoldMs',
    help: 'Milliseconds that one replica keeps the placement lock while others may want it.',
  },
  {
    name: 'LEDGER_BOOKING_LEASE_MS',
    key: 'ledger.bookingLeaseMs',
    help: 'Milliseconds that a booking may stay unrecorded before it is given back.',
  },
  {
    name: 'AGENT_PORT',
    key: 'agent.port',
    help: 'Port of a host agent. 0 = any free one, the same again if it can be had.',
  },
  { name: 'AGENT_BIND', key: 'agent.bind', help: 'Address that a host agent listens on.' },
  {
    name: 'AGENT_ADDRESS',
    key: 'agent.address',
    help: 'URL at which the control plane reaches this agent. Unset = from the address it listens on.',
  },
  {
    name: 'BERTH_JOIN_TOKEN',
    key: 'agent.joinToken',
    help: 'Token with which an agent joins for the first time: berth token create --role join. Later it needs none.',
    secret: true,
    environmentOnly: true,
  },
  {
    name: 'AGENT_NAME',
    key: 'agent.name',
    help: 'Name of the host in the fleet. Unset = the name of the machine.',
  },
  { name: 'AGENT_ZONE', key: 'agent.zone', help: 'Zone of the host.' },
  {
    name: 'AGENT_DRIVER',
    key: 'agent.driver',
    help: 'What runs the VMs: qemu, simulated, or auto: qemu where it is installed.',
  },
  {
    name: 'AGENT_VM_USER',
    key: 'agent.vmUser',
    help: 'As whom VMs run when the agent is root; otherwise they run as the agent does.',
  },
  {
    name: 'AGENT_POWER_OFF_LIMIT_S',
    key: 'agent.powerOffLimitS',
    help: 'Seconds that a guest may take to power itself off when it is stopped; then it is ended.',
  },
  {
    name: 'BERTH_URL',
    key: 'agent.controlPlaneUrl',
    help: 'URL of the control plane, for agents and for the command line.',
  },
  ...HOST_VARIABLES,
  {
    name: 'AGENT_NETWORK_MODE',
    key: 'agent.network.mode',
    help: 'How VMs are connected: tap (a bridge), user (QEMU itself), or auto: tap where the agent may. See docs/agent.md.',
  },
  {
    name: 'AGENT_NETWORK_BRIDGE',
    key: 'agent.network.bridge',
    help: 'Bridge that VMs hang on; one that is missing is made.',
  },
  {
    name: 'AGENT_NETWORK_UPLINK',
    key: 'agent.network.uplink',
    help: 'Interface without addresses that becomes a port of the bridge. Unset = the bridge is left as it is.',
  },
  {
    name: 'AGENT_NETWORK_SUBNET',
    key: 'agent.network.subnetCidr',
    help: 'IPv4 network from which the VMs of this host get addresses, its own for each host. Unset = none are given.',
  },
  {
    name: 'EVENTS_HEARTBEAT_S',
    key: 'events.heartbeatS',
    help: 'Seconds after which a follower of events who was sent nothing is sent a sign of life.',
  },
  {
    name: 'EVENTS_READERS_MAX',
    key: 'events.readersMax',
    help: 'Followers of events that one replica serves at once; more are answered 429.',
  },
  {
    name: 'EVENTS_KEEP_DAYS',
    key: 'events.keepDays',
    help: 'Days that events are kept for followers that were away.',
  },
  { name: 'AUDIT_KEEP_DAYS', key: 'audit.keepDays', help: 'Days that the audit log is kept.' },
  {
    name: 'SHUTDOWN_LIMIT_MS',
    key: 'shutdown.limitMs',
    help: 'Milliseconds that an orderly stop may take; then the process ends anyway.',
  },
];
