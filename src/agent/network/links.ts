/** What stands in the kernel now: interfaces, queues, classes and filters, as the tools tell it. */
import type { RunTool } from './commands.js';
import { ROOT_LINK, TABLE_HANDLE } from './shaping.js';

export interface Link {
  readonly name: string;
  /** `tun`, `bridge`, `ifb` …; empty for a card. */
  readonly kind: string;
  /** The bridge that it is a port of. */
  readonly master: string | null;
  readonly mtu: number;
  readonly isUp: boolean;
}

/** An interface; null when there is none of this name. */
export async function linkOf(run: RunTool, name: string): Promise<Link | null> {
  // Asking for one by name fails alike when there is none and when nothing may be asked.
  return (await linksOf(run)).find((link) => link.name === name) ?? null;
}

export async function linksOf(run: RunTool): Promise<readonly Link[]> {
  return objectsIn(await run('ip', ['-json', '-details', 'link', 'show'])).flatMap((link) => {
    const { ifname, mtu, master, flags, linkinfo } = link;
    if (typeof ifname !== 'string' || typeof mtu !== 'number') return [];
    const kind = isObject(linkinfo) ? linkinfo.info_kind : undefined;
    return [
      {
        name: ifname,
        kind: typeof kind === 'string' ? kind : '',
        master: typeof master === 'string' ? master : null,
        mtu,
        isUp: Array.isArray(flags) && flags.includes('UP'),
      },
    ];
  });
}

/** Whether an interface has an address that others can call, of either family. */
export async function hasAddress(run: RunTool, name: string): Promise<boolean> {
  const [link] = objectsIn(await run('ip', ['-json', 'address', 'show', 'dev', name]));
  const addresses: unknown = link?.addr_info;
  return (
    Array.isArray(addresses) && addresses.some((one) => isObject(one) && one.scope === 'global')
  );
}

/** Kinds of the queues at an interface itself: `tbf`, `htb`, `clsact`. */
export async function shapingOf(run: RunTool, device: string): Promise<ReadonlySet<string>> {
  const queues = objectsIn(await run('tc', ['-json', 'qdisc', 'show', 'dev', device]));
  const own = queues.filter(({ root, parent }) => root === true || parent === 'ffff:fff1');
  return new Set(own.flatMap(({ kind }) => (typeof kind === 'string' ? [kind] : [])));
}

export interface Uploads {
  readonly hasTable: boolean;
  /** Whether packets are led into the table. */
  readonly hasLink: boolean;
  /** Handles of the filters in the table. */
  readonly filters: readonly string[];
  /** Minor numbers of the classes, in hexadecimal digits. */
  readonly classes: readonly string[];
}

/** Classes and filters of the device that has them for all VMs. */
export async function uploadsOf(run: RunTool, device: string): Promise<Uploads> {
  const rows = objectsIn(
    await run('tc', ['-json', 'filter', 'show', 'dev', device, 'parent', '1:']),
  );
  const handles = rows.flatMap(({ options }) =>
    isObject(options) && typeof options.fh === 'string' ? [options.fh] : [],
  );
  const text = await run('tc', ['class', 'show', 'dev', device]);
  return {
    hasTable: handles.includes(TABLE_HANDLE),
    hasLink: handles.includes(ROOT_LINK),
    filters: handles.filter((handle) => /^1:[0-9a-f]+:[0-9a-f]+$/.test(handle)),
    // Not every version prints classes as JSON; that they are printed so is older than JSON.
    classes: [...text.matchAll(/^class htb 1:([0-9a-f]+) /gm)].map((match) => match[1] ?? ''),
  };
}

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

/** The objects of a list; what has nothing to tell prints nothing, or an empty one. */
function objectsIn(text: string): readonly Fields[] {
  if (text.trim() === '') return [];
  const list: unknown = JSON.parse(text);
  return Array.isArray(list) ? list.filter(isObject) : [];
}
