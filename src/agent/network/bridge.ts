/**
 * The bridge that VMs hang on. One that is there is used as it is; one that is missing is made, and
 * what was made can be told by its alias. It stays when the agent stops: VMs run on.
 */
import { type RunTool, runBatch } from './commands.js';
import { hasAddress, linkOf } from './links.js';
import { bridgeMacOf } from './names.js';
import type { Subnet } from './subnet.js';

export interface BridgeOptions {
  readonly name: string;
  /** A card or VLAN that is to be a port of the bridge, and so leads out of the host. */
  readonly uplink?: string | undefined;
  /** The bridge gets the gateway's address, if the agent made it. */
  readonly subnet?: Subnet | undefined;
}

const ALIAS = 'made by the Berth agent';

/**
 * Makes what is missing of the bridge.
 * @throws Error when an interface of this name is none, or the uplink has an address
 */
export async function ensureBridge(run: RunTool, options: BridgeOptions): Promise<void> {
  const { name, uplink, subnet } = options;
  const found = await linkOf(run, name);
  if (found === null) {
    const made = `link add name ${name} address ${bridgeMacOf(name)} type bridge`;
    await runBatch(run, 'ip', [made, `link set dev ${name} alias "${ALIAS}"`]);
  } else if (found.kind !== 'bridge') {
    throw new Error(`the interface ${name} is no bridge`);
  }
  if (found?.isUp !== true) await runBatch(run, 'ip', [`link set dev ${name} up`]);
  if (uplink !== undefined) await enslave(run, uplink, name);
  if (subnet !== undefined && (found === null || (await isOurs(run, name)))) {
    const address = `${subnet.gateway}/${subnet.prefix.toString()}`;
    await runBatch(run, 'ip', [`address replace ${address} dev ${name}`]);
  }
}

/** A card that carries the host's own address must not become a port: the host would be cut off. */
async function enslave(run: RunTool, uplink: string, bridge: string): Promise<void> {
  const card = await linkOf(run, uplink);
  if (card === null) throw new Error(`there is no interface ${uplink} to lead out of the host`);
  if (card.master === bridge && card.isUp) return;
  if (card.master !== null && card.master !== bridge) {
    throw new Error(`the interface ${uplink} is a port of ${card.master} already`);
  }
  if (await hasAddress(run, uplink)) {
    throw new Error(
      `the interface ${uplink} has an address of this host, which would be cut off: make the bridge ${bridge} yourself and give it the address`,
    );
  }
  await runBatch(run, 'ip', [`link set dev ${uplink} master ${bridge} up`]);
}

async function isOurs(run: RunTool, name: string): Promise<boolean> {
  return (await run('ip', ['-json', 'link', 'show', 'dev', name])).includes(ALIAS);
}
