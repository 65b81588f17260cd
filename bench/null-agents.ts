/**
 * Agents that answer at once and run nothing, but know what they were told to run, so that a
 * benchmark measures the control plane and not the disks of hosts. One process, one loopback address per host, and one
 * listener for all of them: with one for each, 10,000 hosts and a connection to each of them were more files than a
 * process may open. Usage: null-agents COUNT PORT [CORES]
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const count = Number(process.argv[2]);
const port = Number(process.argv[3]);

/** 127.1.0.1, 127.1.0.2, … */
export const addressOf = (index: number): string =>
  `127.1.${Math.floor(index / 250).toString()}.${((index % 250) + 1).toString()}`;

/** Whose address a connection came to; -1: nobody's. */
function indexOf({ localAddress = '' }: Socket): number {
  const [net, area, block = NaN, place = NaN] = localAddress.split('.').map(Number);
  const index = block * 250 + place - 1;
  return net === 127 && area === 1 && place >= 1 && place <= 250 && index < count ? index : -1;
}

export const TOTALS = {
  cpu: { total: 64, source: 'configured' as const },
  memory: { total: 262_144, source: 'configured' as const },
  disk: { total: 4_194_304, source: 'configured' as const },
};

/** Hosts of more or fewer cores. */
export const totalsWith = (cores: number): typeof TOTALS => ({
  ...TOTALS,
  cpu: { ...TOTALS.cpu, total: cores },
});

const totals = totalsWith(Number(process.argv[4] ?? TOTALS.cpu.total));

/** Numbers of reports rise, for each host. */
let report = 0;

/** Connections that may wait to be taken: as many as the machine allows. */
const ALL_AT_ONCE = 65_535;

/** Questions for the status since the last `forget`; times since the epoch. */
let seen = { asked: 0, firstAt: 0, lastAt: 0 };

function noteAsked(): void {
  const now = Date.now();
  seen = { asked: seen.asked + 1, firstAt: seen.firstAt === 0 ? now : seen.firstAt, lastAt: now };
}

/** So many of the first agents take requests and never answer. */
let hanging = 0;

/** By id, as the agent reports it. */
type Vms = Map<string, { readonly id: string }>;

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  hostId: string,
  vms: Vms,
): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const [, , noun, id = ''] = (request.url ?? '').split(/[/?]/);
    response.setHeader('content-type', 'application/json');
    if (noun === 'status') {
      noteAsked();
      response.end(
        JSON.stringify({
          hostId,
          version: 'null',
          bootId: 'null',
          report: (report += 1),
          uptimeS: 1,
          load: [0, 0, 0],
          totals,
          used: {},
          allocated: {},
          driver: 'null',
          vms: [...vms.values()],
        }),
      );
      return;
    }
    if (request.method === 'DELETE') {
      vms.delete(id);
      response.end('{"gone":true}');
      return;
    }
    const order = JSON.parse(Buffer.concat(chunks).toString()) as {
      readonly assignment: number;
      readonly resources: Record<string, number>;
    };
    const vm = {
      id,
      assignment: order.assignment,
      state: 'running',
      resources: order.resources,
      reason: null,
    };
    vms.set(id, vm);
    response.end(JSON.stringify(vm));
  });
}

const running = (id: string, assignment: number) => ({
  id,
  assignment,
  state: 'running',
  resources: { cpu: 1, memory: 256, disk: 1024 },
  reason: null,
});

/** A number: so many of the first agents are gone from now on. run: [agent, VM, assignment] of VMs that they have. */
type Told =
  | number
  | { readonly hang: number }
  | { readonly run: readonly (readonly [number, string, number])[] }
  | 'seen'
  | 'forget';

export const hostIdOf = (index: number): string => `bench-${index.toString()}`;

if (Number.isInteger(count) && Number.isInteger(port)) {
  const vms = Array.from({ length: count }, (): Vms => new Map());
  const connections = new Set<Socket>();
  let gone = 0;
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const index = indexOf(request.socket);
    if (index >= hanging)
      answer(request, response, hostIdOf(index), vms[index] ?? new Map<string, never>());
  });
  server.on('connection', (socket) => {
    if (indexOf(socket) < gone) {
      socket.resetAndDestroy();
      return;
    }
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  server.listen(port, '0.0.0.0', ALL_AT_ONCE, () => process.send?.('ready'));
  process.on('message', (told: Told) => {
    if (typeof told === 'object') {
      if ('hang' in told) hanging = told.hang;
      else
        for (const [index, id, assignment] of told.run)
          vms[index]?.set(id, running(id, assignment));
      return;
    }
    if (typeof told === 'string') {
      if (told === 'forget') seen = { asked: 0, firstAt: 0, lastAt: 0 };
      process.send?.(seen);
      return;
    }
    gone = told;
    for (const socket of connections) if (indexOf(socket) < gone) socket.resetAndDestroy();
  });
}
