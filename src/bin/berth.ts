#!/usr/bin/env node
/** The command `berth`: reads arguments, environment and configuration, and starts what is asked. */
import { Command, InvalidArgumentError } from 'commander';
import { registerClientCommands } from '../cli/client-commands.js';
import { DomainError } from '../model/errors.js';
import { createLogger } from '../std/log.js';
import { joinTokens, replicaToken } from './admin-token.js';
import { startAgent, startSimulatedHosts } from './agent.js';
import { printConfig } from './config-show.js';
import { ConfigError, loadConfig, type Config } from './config.js';
import { startControlPlane } from './control-plane.js';
import { prepareDataDir } from './data-dir.js';
import { redisTargetOf } from './redis-target.js';
import { ShutDown, stopRequest, withLimit } from './shut-down.js';
import { startUp } from './up.js';
import { VERSION } from './version.js';
import { checkHost } from './vm-surroundings.js';

const { env, stdout, stderr } = process;

/** Most simulated hosts that one process can carry. */
const SIMULATED_HOSTS_MAX = 200;

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > SIMULATED_HOSTS_MAX) {
    throw new InvalidArgumentError(
      `Must be a whole number from 0 to ${SIMULATED_HOSTS_MAX.toString()}.`,
    );
  }
  return value;
}

function logOf(config: Config, level = config.log.level) {
  const { format } = config.log;
  const pretty = format === 'pretty' || (format === 'auto' && stderr.isTTY);
  return createLogger({ level, pretty });
}

/** Starts a program and keeps it until it is asked to stop. */
async function run(
  config: Config,
  log: ReturnType<typeof createLogger>,
  start: (shutDown: ShutDown) => Promise<unknown>,
  /** Tells a person at a terminal that it stops. */
  say: (line: string) => void = () => undefined,
): Promise<void> {
  const shutDown = new ShutDown(log, config.shutdown.limitMs);
  const stopped = stopRequest(log);
  const starting = start(shutDown);
  try {
    await Promise.race([starting, stopped]);
    await stopped;
    say('Stopping …');
  } finally {
    // A start under way is let finish, so that what it has just begun is known and stopped, too.
    await withLimit(starting, config.shutdown.limitMs).catch(() => undefined);
    await shutDown.stop();
  }
  say('Stopped.');
  // What still keeps the event loop alive is of no use to anybody now.
  process.exit(0);
}

const program = new Command('berth')
  .description('Berth gives every VM a berth on a host.')
  .version(VERSION)
  .showHelpAfterError();

program
  .command('up')
  .description('run everything on this machine: control plane, one agent, and what they need')
  .option(
    '--hosts <count>',
    `simulated hosts to add, 0 to ${SIMULATED_HOSTS_MAX.toString()}`,
    wholeNumber,
    0,
  )
  .addHelpText('after', '\nExample:\n  $ berth up --hosts 20')
  .action(async ({ hosts }: { readonly hosts: number }) => {
    const config = loadConfig({ env });
    // People read the screen here: only what they should know, unless they ask for more.
    const log = logOf(
      config,
      config.origins.get('log.level') === 'env' ? config.log.level : 'warn',
    );
    const print = (text: string): void => {
      stdout.write(`${text}\n`);
    };
    const inputs = { config, env, log, hosts, print };
    await run(config, log, (shutDown) => startUp(inputs, shutDown), print);
  });

program
  .command('serve')
  .description(
    'run one replica of the control plane; needs REDIS_URL, DATABASE_URL and BERTH_ADMIN_TOKEN',
  )
  .addHelpText(
    'after',
    '\nIt writes nothing to the data folder. Without BERTH_ADMIN_TOKEN it takes the admin.token that is there.\n' +
      '\nExample:\n  $ REDIS_URL=redis://10.0.0.2 DATABASE_URL=postgres://berth@10.0.0.3/berth BERTH_ADMIN_TOKEN=… berth serve',
  )
  .action(async () => {
    const config = loadConfig({ env });
    const redis = redisTargetOf(config.redis);
    const { url: databaseUrl } = config.database;
    if (redis === null || databaseUrl === undefined) {
      throw new Error('berth serve needs REDIS_URL and DATABASE_URL; berth up does without.');
    }
    const log = logOf(config);
    await run(config, log, async (shutDown) =>
      startControlPlane(
        {
          config,
          env,
          log,
          adminToken: await replicaToken(config),
          redis,
          database: { databaseUrl },
        },
        shutDown,
      ),
    );
  });

program
  .command('agent')
  .description(
    'run the agent of this host; needs BERTH_JOIN_TOKEN once, and BERTH_URL on other machines',
  )
  .option(
    '--simulated <count>',
    `run this many simulated hosts instead, 0 to ${SIMULATED_HOSTS_MAX.toString()}`,
    wholeNumber,
  )
  .option('--check', 'only say what this machine can hold VMs to, and what it cannot')
  .addHelpText(
    'after',
    '\nBeside `berth up` on the same machine, with the same BERTH_DATA_DIR, it gets itself the token to join with.\n' +
      'Each simulated host joins with a token of its own: give BERTH_ADMIN_TOKEN instead, and they are made.\n' +
      '\nExample:\n  $ BERTH_URL=http://10.0.0.5:8080 BERTH_JOIN_TOKEN=… AGENT_ADDRESS=http://10.0.0.9:8081 berth agent',
  )
  .action(async ({ simulated, check }: { readonly simulated?: number; readonly check?: true }) => {
    const config = loadConfig({ env });
    if (check === true) {
      stdout.write(await checkHost(config, logOf(config)));
      return;
    }
    const joinToken = await joinTokens(config, simulated === undefined);
    await prepareDataDir(config.dataDir);
    const log = logOf(config);
    const inputs = { config, log, controlPlaneUrl: config.agent.controlPlaneUrl, joinToken };
    await run(config, log, (shutDown) =>
      simulated === undefined
        ? startAgent(inputs, shutDown)
        : startSimulatedHosts(simulated, inputs, shutDown),
    );
  });

program
  .command('config')
  .description('look at the configuration')
  .command('show')
  .description('print every key, its value and where it comes from; secrets are starred')
  .option('--json', 'print JSON')
  .addHelpText('after', '\nExample:\n  $ CPU_OVERCOMMIT=2 berth config show')
  .action(({ json }: { readonly json?: boolean }) => {
    stdout.write(printConfig(loadConfig({ env }), json === true));
  });

registerClientCommands(program, { env, stdout, stderr, isTty: stdout.isTTY });

try {
  await program.parseAsync(process.argv);
} catch (error) {
  stderr.write(`berth: ${messageOf(error)}\n`);
  process.exit(1);
}

/** One clear sentence; a stack is for logs. */
function messageOf(error: unknown): string {
  if (error instanceof ConfigError || error instanceof DomainError) return error.message;
  return error instanceof Error ? error.message : String(error);
}
