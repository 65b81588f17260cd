/**
 * The pieces of a VM's network, each made where it is missing and taken away where it is there, by
 * the same lines for a probe as for a VM. Decides nothing; see tap-networks.ts.
 */
import type { VmRates } from '../vm-parts.js';
import { type RunTool, runBatch } from './commands.js';
import { linkOf, linksOf, shapingOf, uploadsOf, type Link } from './links.js';
import { hostMacOf, macOf, tapName, uploadName } from './names.js';
import {
  classGoneLine,
  downloadLines,
  filterGoneLine,
  noDownloadLines,
  noUploadLines,
  numberOfClass,
  numberOfFilter,
  uploadBaseLines,
  uploadLines,
  uploadTableLines,
  type Rate,
} from './shaping.js';

/** What a host turned out to be able to. */
export interface Abilities {
  /** VMs of one host cannot reach each other past the bridge's other ports. */
  readonly isolation: boolean;
  /** What is sent under another's hardware address is dropped. */
  readonly locking: boolean;
  readonly download: boolean;
  readonly upload: boolean;
}

export interface Plumbing {
  readonly run: RunTool;
  readonly tag: string;
  readonly bridge: string;
  /** User (name or number) who may open the TAPs; root alone when absent. */
  readonly owner?: string | undefined;
}

export interface VmPort {
  readonly vmId: string;
  readonly number: number;
}

/** The TAP, a port of the bridge. */
export async function ensureTap(plumbing: Plumbing, { vmId, number }: VmPort): Promise<void> {
  const { run, tag, bridge, owner } = plumbing;
  const name = tapName(number, tag);
  const links = await linksOf(run);
  const tap = links.find((link) => link.name === name) ?? null;
  const parent = links.find((link) => link.name === bridge);
  if (parent === undefined) throw new Error(`there is no bridge ${bridge}`);
  if (tap !== null && tap.kind !== 'tun') throw new Error(`the interface ${name} is no TAP`);
  if (tap === null) {
    const user = owner === undefined ? [] : ['user', owner];
    await run('ip', ['tuntap', 'add', 'dev', name, 'mode', 'tap', ...user]);
  }
  await runBatch(run, 'ip', tapLines(name, vmId, tap, parent));
}

/** The bridge's own size: a smaller one of a port would become that of the bridge. */
const tapLines = (name: string, vmId: string, tap: Link | null, bridge: Link): readonly string[] =>
  tap?.master === bridge.name && tap.isUp
    ? []
    : [
        `link set dev ${name} address ${hostMacOf(vmId)} alias "berth ${vmId}" mtu ${bridge.mtu.toString()}`,
        `link set dev ${name} master ${bridge.name} up`,
      ];

/** What the bridge lets pass at a TAP, as lines for `bridge -batch`. */
export const isolationLines = ({ tag }: Plumbing, { number }: VmPort): readonly string[] => [
  `link set dev ${tapName(number, tag)} isolated on`,
];

/** The bridge knows the VM's address and learns no other at this port. */
export const lockingLines = ({ tag }: Plumbing, { vmId, number }: VmPort): readonly string[] => [
  `fdb replace ${macOf(vmId)} dev ${tapName(number, tag)} master static`,
  `link set dev ${tapName(number, tag)} learning off locked on`,
];

/** Lines for tc, with the limits that a VM has; see `removeLimits` for those that it has no more. */
export function limitLines(
  { tag }: Plumbing,
  { vmId, number }: VmPort,
  { download, upload }: Limits,
): readonly string[] {
  const tap = tapName(number, tag);
  const vm = { tap, number, mac: macOf(vmId) };
  return [
    ...(download === null ? [] : downloadLines(tap, download)),
    ...(upload === null ? [] : uploadLines(uploadName(tag), vm, upload)),
  ];
}

/** Takes away the limits that a TAP still has and the VM has no more. */
export async function removeLimits(
  plumbing: Plumbing,
  { number }: VmPort,
  { download, upload }: Limits,
): Promise<void> {
  if (download !== null && upload !== null) return;
  const { run, tag } = plumbing;
  const tap = tapName(number, tag);
  const kinds = await shapingOf(run, tap);
  await runBatch(run, 'tc', [
    ...(download === null && kinds.has('tbf') ? noDownloadLines(tap) : []),
    ...(upload === null && kinds.has('clsact') ? noUploadLines(tap) : []),
  ]);
  if (upload === null) await removeClasses(plumbing, (one) => one === number);
}

/** The device through which everything goes that VMs send, ready for their classes. */
export async function ensureUploadDevice({ run, tag }: Plumbing): Promise<void> {
  const name = uploadName(tag);
  const link = await linkOf(run, name);
  await runBatch(run, 'ip', [
    ...(link === null ? [`link add name ${name} type ifb`] : []),
    ...(link?.isUp === true ? [] : [`link set dev ${name} up`]),
  ]);
  const hasRoot = link !== null && (await shapingOf(run, name)).has('htb');
  const { hasTable, hasLink } = hasRoot
    ? await uploadsOf(run, name)
    : { hasTable: false, hasLink: false };
  await runBatch(run, 'tc', [
    ...(hasRoot ? [] : uploadBaseLines(name)),
    ...uploadTableLines(name, hasTable, hasLink),
  ]);
}

/** Takes away classes and filters of these numbers, where there are any. */
export async function removeClasses(
  { run, tag }: Plumbing,
  isGone: (number: number) => boolean,
): Promise<void> {
  const device = uploadName(tag);
  if ((await linkOf(run, device)) === null) return;
  const { filters, classes } = await uploadsOf(run, device);
  const isOfGone = (number: number | null): boolean => number !== null && isGone(number);
  await runBatch(run, 'tc', [
    ...filters
      .filter((handle) => isOfGone(numberOfFilter(handle)))
      .map((handle) => filterGoneLine(device, handle)),
    ...classes
      .filter((minor) => isOfGone(numberOfClass(minor)))
      .map((minor) => classGoneLine(device, minor)),
  ]);
}

/** Removes interfaces, with all that hangs on them, where they are there. */
export async function removeLinks(run: RunTool, isGone: (name: string) => boolean): Promise<void> {
  const gone = (await linksOf(run)).filter(({ name }) => isGone(name));
  await runBatch(
    run,
    'ip',
    gone.map(({ name }) => `link delete dev ${name}`),
  );
}

/** What a VM is held to; null where there is nothing, or where the host cannot. */
export interface Limits {
  readonly download: Rate | null;
  readonly upload: Rate | null;
}

const rateOf = (bytesPerS: number | null, burst: number): Rate | null =>
  bytesPerS === null ? null : { bytesPerS, burst };

export const limitsOf = (rates: VmRates): Limits => ({
  download: rateOf(rates.downloadBytesPerS, rates.downloadBurst),
  upload: rateOf(rates.uploadBytesPerS, rates.uploadBurst),
});
