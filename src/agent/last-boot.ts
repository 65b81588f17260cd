/**
 * Whether the machine was started anew since the agent last ran. What ran on it before does not run
 * any more, and is not started before the control plane says so: its VMs may run elsewhere by now.
 */
import { join } from 'node:path';
import { readIfThere, writeDurably } from './durable-file.js';

const FILE_NAME = 'boot';

/** An agent that has never noted a start takes what it finds as it is. */
export async function isNewBoot(dataDir: string, bootId: string): Promise<boolean> {
  const last = await readIfThere(join(dataDir, FILE_NAME));
  return last !== null && last.trim() !== bootId;
}

/** To be called when all VMs are noted as this start of the machine found them. */
export const noteBoot = (dataDir: string, bootId: string): Promise<void> =>
  writeDurably(join(dataDir, FILE_NAME), `${bootId}\n`);
