/** Trees of /proc and /sys as machines of several kinds show them, below a directory of the test's own. */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Text of a file by its path; a link says where it leads to. */
export type Tree = Readonly<Record<string, string | { readonly linkTo: string }>>;

export async function plant(root: string, tree: Tree): Promise<void> {
  for (const [path, content] of Object.entries(tree)) {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    if (typeof content === 'string') await writeFile(file, content);
    else await symlink(content.linkTo, file);
  }
}

const ROUTES = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n';

export const route = (name: string, metric: number): string =>
  `${name}\t00000000\t010200C0\t0003\t0\t0\t${metric.toString()}\t00000000\t0\t0\t0\n`;

/** A machine with four CPUs, 8 GiB and a link of 10 Gbit/s. */
export const PLAIN: Tree = {
  'proc/cpuinfo': [0, 1, 2, 3].map((cpu) => `processor\t: ${cpu.toString()}\n\n`).join(''),
  'proc/meminfo': 'MemTotal:        8388608 kB\nMemAvailable:    6291456 kB\n',
  'proc/uptime': '5.5 1\n',
  'proc/loadavg': '1 2 3 4/5 6\n',
  'proc/net/route': ROUTES + route('eth0', 100),
  'sys/devices/system/cpu/online': '0-3\n',
  'sys/class/net/eth0/speed': '10000\n',
};

export const routesOf = (...lines: readonly string[]): string => ROUTES + lines.join('');

/** One CPU of /proc/cpuinfo of a socket with so many threads. */
export const x86Cpu = (cpu: number, socket: number, siblings: number): string =>
  `processor\t: ${cpu.toString()}\nphysical id\t: ${socket.toString()}\nsiblings\t: ${siblings.toString()}\n\n`;
