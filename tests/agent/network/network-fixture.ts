/** Networks of a test: TAP networks in a namespace, and what of them is left there. */
import { tapNetworks, type HostNetworks } from '../../../src/agent/network/tap-networks.js';
import { ensureBridge } from '../../../src/agent/network/bridge.js';
import type { RunTool } from '../../../src/agent/network/commands.js';
import { tagOf, NUMBERS_MAX, uploadName } from '../../../src/agent/network/names.js';
import { openVmNumbers } from '../../../src/agent/network/numbers.js';
import type { Abilities } from '../../../src/agent/network/plumbing.js';
import type { VmRates } from '../../../src/agent/vm-parts.js';

/** Plays guests and those who call them. */
export const TRAFFIC = 'tests/agent/network/tap-traffic.pl';

export const BRIDGE = 'vmbridge';

export const ALL_ABILITIES: Abilities = {
  isolation: true,
  locking: true,
  download: true,
  upload: true,
};

/** The same limit both ways, without bursts. */
export const rates = (bytesPerS: number | null): VmRates => ({
  downloadBytesPerS: bytesPerS,
  uploadBytesPerS: bytesPerS,
  diskIoBytesPerS: null,
  downloadBurst: 1,
  uploadBurst: 1,
  diskIoBurst: 1,
});

/** Without the probe, for a host that is known. */
export async function reopen(
  run: RunTool,
  directory: string,
  abilities: Abilities,
): Promise<HostNetworks> {
  return tapNetworks({
    plumbing: { run, tag: tagOf(directory), bridge: BRIDGE },
    prepareBridge: () => ensureBridge(run, { name: BRIDGE }),
    numbers: await openVmNumbers(directory, NUMBERS_MAX),
    abilities,
    notEnforced: [],
  });
}

/** Everything of VMs in the kernel, a line each: links, queues, classes, filters. */
export async function remainsOf(run: RunTool, directory: string): Promise<readonly string[]> {
  const tag = tagOf(directory);
  const device = uploadName(tag);
  const links = namesIn(await run('ip', ['-brief', 'link', 'show']));
  const taps = links.filter((name) => name.includes(tag) && name !== device);
  if (!links.includes(device)) return taps;
  const [queues, classes, filters] = await Promise.all([
    run('tc', ['qdisc', 'show']),
    run('tc', ['class', 'show', 'dev', device]),
    run('tc', ['filter', 'show', 'dev', device, 'parent', '1:']),
  ]);
  return [
    ...taps,
    ...linesIn(queues).filter(
      (line) => line.includes(tag) && !/ (htb|bfifo) (1|fffe): /.test(line),
    ),
    ...linesIn(classes).filter((line) => !line.startsWith('class htb 1:ffff ')),
    ...linesIn(filters).filter((line) => / fh 1:[0-9a-f]+:/.test(line)),
  ];
}

export const linesIn = (text: string): string[] => text.split('\n').filter((line) => line !== '');

const namesIn = (brief: string): string[] =>
  linesIn(brief).map((line) => line.split(/[@\s]/)[0] ?? '');
