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

export const isolate = ({ run, tag }: Plumbing, { number }: VmPort): Promise<void> =>
  runBatch(run, 'bridge', [`link set dev ${tapName(number, tag)} isolated on`]);

/** The bridge knows the VM's address and learns no other at this port. */
export const lock = ({ run, tag }: Plumbing, { vmId, number }: VmPort): Promise<void> =>
  runBatch(run, 'bridge', [
    `fdb replace ${macOf(vmId)} dev ${tapName(number, tag)} master static`,
    `link set dev ${tapName(number, tag)} learning off locked on`,
  ]);

/** The limit of what a VM is sent; null takes it away. */
export async function limitDownload(
  { run, tag }: Plumbing,
  { number }: VmPort,
  rate: Rate | null,
): Promise<void> {
  const tap = tapName(number, tag);
  if (rate !== null) await runBatch(run, 'tc', downloadLines(tap, rate));
  else if ((await shapingOf(run, tap)).kinds.has('tbf')) {
    await runBatch(run, 'tc', noDownloadLines(tap));
  }
}

/** The limit of what a VM sends; null takes it away. */
export async function limitUpload(
  plumbing: Plumbing,
  { vmId, number }: VmPort,
  rate: Rate | null,
): Promise<void> {
  const { run, tag } = plumbing;
  const tap = tapName(number, tag);
  if (rate !== null) {
    const vm = { tap, number, mac: macOf(vmId) };
    return runBatch(run, 'tc', uploadLines(uploadName(tag), vm, rate));
  }
  if (!(await shapingOf(run, tap)).kinds.has('clsact')) return;
  await runBatch(run, 'tc', noUploadLines(tap));
  await removeClasses(plumbing, (one) => one === number);
}

/** The device through which everything goes that VMs send, ready for their classes. */
export async function ensureUploadDevice({ run, tag }: Plumbing): Promise<void> {
  const name = uploadName(tag);
  const link = await linkOf(run, name);
  if (link === null) await runBatch(run, 'ip', [`link add name ${name} type ifb`]);
  if (link?.isUp !== true) await runBatch(run, 'ip', [`link set dev ${name} up`]);
  if (!(await shapingOf(run, name)).kinds.has('htb')) {
    await runBatch(run, 'tc', uploadBaseLines(name));
  }
  const { hasTable, hasLink } = await uploadsOf(run, name);
  await runBatch(run, 'tc', uploadTableLines(name, hasTable, hasLink));
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

/** Removes an interface with all that hangs on it, if it is there. */
export async function removeLink(run: RunTool, name: string): Promise<void> {
  if ((await linkOf(run, name)) !== null) await run('ip', ['link', 'delete', 'dev', name]);
}

export const downloadRate = (rates: VmRates): Rate | null =>
  rates.downloadBytesPerS === null
    ? null
    : { bytesPerS: rates.downloadBytesPerS, burst: rates.downloadBurst };

export const uploadRate = (rates: VmRates): Rate | null =>
  rates.uploadBytesPerS === null
    ? null
    : { bytesPerS: rates.uploadBytesPerS, burst: rates.uploadBurst };
