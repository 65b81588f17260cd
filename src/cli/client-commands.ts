/**
 * The commands that talk to a control plane, as any other client would. What starts programs
 * (`up`, `serve`, `agent`) is bin's.
 */
import type { Command } from 'commander';
import { registerBreakerCommands } from './breaker-command.js';
import { registerCapacityCommand } from './capacity-command.js';
import type { CliContext } from './context.js';
import { registerEventCommands } from './event-commands.js';
import { registerGenerateCommand } from './generate-command.js';
import { registerHostCommands } from './host-commands.js';
import { registerImageCommands } from './image-commands.js';
import { registerOrphanCommands } from './orphan-commands.js';
import { registerReservationCommands } from './reservation-commands.js';
import { registerPlaceCommand } from './place-command.js';
import { registerRebalanceCommand } from './rebalance-command.js';
import { registerRebuildCommand } from './rebuild-command.js';
import { adopt } from './run-command.js';
import { registerSimulateCommand } from './simulate-command.js';
import { registerTokenCommands } from './token-commands.js';
import { registerUsageCommand } from './usage-command.js';
import { registerVerifyCommand } from './verify-command.js';
import { registerVmCommands } from './vm-commands.js';

const GLOBAL_HELP = `
Talking to a control plane (every command but up, serve, agent, config,
simulate, generate):
  BERTH_URL       where it is (default: http://127.0.0.1:8080)
  BERTH_TOKEN     the token to show it
  BERTH_DATA_DIR  without BERTH_TOKEN, admin.token in this folder is shown to a
                  control plane on this machine (default: .berth)

Exit codes:
  0  done
  1  it failed
  2  the command or the request is not valid
  3  there is no such VM or host
  4  no host has room, or the present state does not allow it
  5  the control plane cannot be reached

Example:
  $ berth vm create --name web-1 --cpu 2 --memory 2GiB --disk 10GiB`;

/**
 * Adds the commands to a program. Everything that the program prints goes to the context's streams
 * from then on, and wrong usage of any command ends with exit code 2.
 */
export function registerClientCommands(program: Command, context: CliContext): void {
  registerVmCommands(program, context);
  registerReservationCommands(program, context);
  registerPlaceCommand(program, context);
  registerHostCommands(program, context);
  registerImageCommands(program, context);
  registerOrphanCommands(program, context);
  registerUsageCommand(program, context);
  registerCapacityCommand(program, context);
  registerRebalanceCommand(program, context);
  registerSimulateCommand(program, context);
  registerGenerateCommand(program, context);
  registerRebuildCommand(program, context);
  registerVerifyCommand(program, context);
  registerBreakerCommands(program, context);
  registerEventCommands(program, context);
  registerTokenCommands(program, context);
  program.addHelpText('after', GLOBAL_HELP);
  adopt(program, context);
  // `berth vm list | head` closes our output early; that is no failure.
  context.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
