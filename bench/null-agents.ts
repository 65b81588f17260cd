/**
 * Agents that answer at once and run nothing, but know what they were told to run, so that a
 * benchmark measures the control plane and not the disks of hosts. One process, one loopback address per host. Usage: null-agents COUNT PORT
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

const count = Number(process.argv[2]);
const port = Number(process.argv[3]);

/** 127.1.0.1, 127.1.0.2, … */
export const addressOf = (index: number): string =>
  `127.1.${Math.floor(index / 250).toString()}.${((index % 250) + 1).toString()}`;

export const TOTALS = {
  cpu: { total: 64, source: 'configured' as const },
  memory: { total: 262_144, source: 'configured' as const },
  disk: { total: 4_194_304, source: 'configured' as const },
};

/** Numbers of reports rise, for each host. */
let report = 0;

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
          totals: TOTALS,
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

export const hostIdOf = (index: number): string => `bench-${index.toString()}`;

if (Number.isInteger(count) && Number.isInteger(port)) {
  let open = 0;
  const servers: Server[] = [];
  for (let index = 0; index < count; index += 1) {
    const vms: Vms = new Map();
    const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      if (index >= hanging) answer(request, response, hostIdOf(index), vms);
    });
    servers.push(server);
    server.listen(port, addressOf(index), () => {
      open += 1;
      if (open === count) process.send?.('ready');
    });
  }
  // A number: so many of the agents are gone from now on.
  process.on('message', (told: number | { readonly hang: number } | 'seen' | 'forget') => {
    if (typeof told === 'object') {
      hanging = told.hang;
      return;
    }
    if (typeof told === 'string') {
      if (told === 'forget') seen = { asked: 0, firstAt: 0, lastAt: 0 };
      process.send?.(seen);
      return;
    }
    const gone = told;
    for (const server of servers.slice(0, gone)) {
      server.close();
      server.closeAllConnections();
    }
  });
}
