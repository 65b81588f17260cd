/**
 * What answering past Express could gain: an echo of a create's body on Express, the same on Express
 * with requests as Berth hands them to it, on node:http alone, and Berth's creates, in interleaved
 * rounds; and the processor time that each process spends on a request. Prints a table and one JSON line.
 * Options: --hosts 1000 --rounds 5 --seconds 4 --connections 64
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { freePort } from '../tests/support/free-port.js';
import { conclude } from './conclude.js';
import { load, medianRatio, medianRun, rowOf, RUN_HEAD, type Run } from './create-load.js';
import { BenchFleet, median } from './fleet.js';
import { processorMs } from './processor-time.js';

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '64' },
  },
});
const hosts = Number(values.hosts);
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const connections = Number(values.connections);

const processorUs = (pid: number): number => processorMs(pid) * 1_000;

interface Server {
  readonly name: string;
  readonly port: number;
  readonly pid: number;
  readonly runs: Run[];
  /** Of each run, µs of the process per request, with what it does after the answer. */
  readonly costs: number[];
}

async function measure({ port, pid, runs, costs }: Server): Promise<void> {
  const before = processorUs(pid);
  const run = await load(port, seconds, connections);
  await sleep(1_500);
  runs.push(run);
  costs.push((processorUs(pid) - before) / (run.perSecond * seconds));
}

const fleet = await BenchFleet.start();
try {
  await fleet.agents(hosts);
  const server = (name: string, port: number, pid = 0): Server => ({
    name,
    port,
    pid,
    runs: [],
    costs: [],
  });
  const echoPort = await freePort();
  const handedPort = await freePort();
  const barePort = await freePort();
  const echo = await fleet.fork('./baselines.ts', ['echo', echoPort.toString()]);
  const handed = await fleet.fork('./baselines.ts', ['handed', handedPort.toString()]);
  const bare = await fleet.fork('./baselines.ts', ['bare', barePort.toString()]);
  const { url, port, process: berth } = await fleet.replica();
  await fleet.join(url, hosts);
  const servers = [
    server('Express echo', echoPort, echo.pid),
    server('the same, handed', handedPort, handed.pid),
    server('node:http echo', barePort, bare.pid),
    server('Berth create', port, berth.pid),
  ];
  for (const one of servers) await load(one.port, 2, connections);
  for (let round = 0; round < rounds; round += 1) for (const one of servers) await measure(one);

  const [onExpress, onHanded, onNode, create] = servers;
  if (
    onExpress === undefined ||
    onHanded === undefined ||
    onNode === undefined ||
    create === undefined
  ) {
    throw new Error('a server is missing');
  }
  const expressUs = median(onHanded.costs) - median(onNode.costs);
  const share = expressUs / median(create.costs);
  const toEcho = medianRatio(create.runs, onExpress.runs);
  const table = new Table({ head: [...RUN_HEAD, 'µs each'], style: { head: [], border: [] } });
  for (const { name, runs, costs } of servers) {
    table.push([...rowOf(name, medianRun(runs)), median(costs).toFixed(0)]);
  }
  conclude(
    {
      bench: 'create-limit',
      hosts,
      connections,
      rounds,
      expressUs,
      share,
      toEcho,
      servers: servers.map(({ name, runs, costs }) => ({
        name,
        ...medianRun(runs),
        processorUs: median(costs),
      })),
    },
    `${table.toString()}\n` +
      `Express costs ${expressUs.toFixed(0)} µs a request, ${(share * 100).toFixed(0)} % of a create's time in this process: ` +
      `past it, creates would be ${(toEcho / (1 - share)).toFixed(2)} of the echo instead of ${toEcho.toFixed(2)} at best\n`,
    await fleet.stores(),
  );
} finally {
  await fleet.stop();
}
process.exit(0);
