/**
 * Creates per second with 100, 1,000 and 10,000 hosts, one size after the other, each beside the same
 * Express echo: the ratios can be compared although the machine drifts.
 * Prints a table and one JSON line. Options: --sizes 100,1000,10000 --rounds 5 --seconds 4
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { freePort } from '../tests/support/free-port.js';
import { conclude, type Stores } from './conclude.js';
import { load, medianRatio, medianRun, rowOf, RUN_HEAD, type Run } from './create-load.js';
import { BenchFleet } from './fleet.js';

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '100,1000,10000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const CONNECTIONS = 64;
const MIDDLING_CORES = 64;
const CORES_IN_ALL = 64_000;

let stores: Stores = {};

interface Size {
  readonly hosts: number;
  readonly create: Run;
  readonly toEcho: number;
}

async function measure(hosts: number): Promise<Size> {
  const fleet = await BenchFleet.start();
  try {
    const echoPort = await freePort();
    // Room for all that is created, however few they are.
    await fleet.agents(hosts, Math.max(MIDDLING_CORES, CORES_IN_ALL / hosts));
    await fleet.fork('./baselines.ts', ['echo', echoPort.toString()]);
    const { url, port } = await fleet.replica();
    await fleet.join(url, hosts);
    await load(echoPort, 1, CONNECTIONS);
    await load(port, 2, CONNECTIONS);
    stores = await fleet.stores();
    const create: Run[] = [];
    const echo: Run[] = [];
    for (let round = 0; round < rounds; round += 1) {
      echo.push(await load(echoPort, seconds, CONNECTIONS));
      create.push(await load(port, seconds, CONNECTIONS));
      await sleep(1_500);
    }
    return { hosts, create: medianRun(create), toEcho: medianRatio(create, echo) };
  } finally {
    await fleet.stop();
  }
}

const table = new Table({
  head: [...RUN_HEAD, 'to echo', 'to the first'],
  style: { head: [], border: [] },
});
const sizes: Size[] = [];
for (const hosts of values.sizes.split(',').map(Number)) {
  const size = await measure(hosts);
  sizes.push(size);
  const toFirst = size.create.perSecond / (sizes[0]?.create.perSecond ?? NaN);
  const name = `${hosts.toString()} hosts`;
  table.push([...rowOf(name, size.create), size.toEcho.toFixed(3), toFirst.toFixed(2)]);
}
conclude({ bench: 'grow', connections: CONNECTIONS, rounds, sizes }, table.toString(), stores);
process.exit(0);
