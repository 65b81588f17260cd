/**
 * A replica's ledger in a process of its own, that says how much memory it takes step by step.
 * Usage: memory-replica URL HOSTS VMS read|rebuild
 */
import { readFileSync } from 'node:fs';
import { createLedger } from '../src/ledger/ledger.js';
import { NO_CONSTRAINTS } from '../src/model/constraints.js';
import { factsOf, type Host } from '../src/model/host.js';
import type { LedgerPart } from '../src/model/ports.js';
import type { Allocation } from '../src/model/vm.js';
import { choose } from '../src/placement/choose.js';
import type { HostTable } from '../src/placement/host-table.js';
import { STRATEGIES } from '../src/placement/strategies.js';
import { weightsOf } from '../src/placement/strategy.js';
import { systemClock } from '../src/std/clock.js';
import { prngOf } from '../src/std/prng.js';
import { hostWith, inGroup } from '../tests/ledger/builders.js';
import { silentLog } from '../tests/support/log.js';

const [url = '', hosts = '', vms = '', part = ''] = process.argv.slice(2);

export interface Step {
  readonly step: string;
  readonly rssMb: number;
  /** The most that the process ever had. */
  readonly peakMb: number;
}

/** More shapes than are kept, so that what is kept is as much as may be. */
const SHAPES = 600;

/** Hosts or VMs of one part, as a rebuild reads them from the catalogue. */
const PART = 500;

/** Hosts with a few labels, VMs of small sizes, one in ten in a group; part by part. */
function* parts(): Generator<LedgerPart> {
  const prng = prngOf('memory');
  const nothing: LedgerPart = { hosts: [], gone: [], allocations: [] };
  const hostCount = Number(hosts);
  for (let from = 0; from < hostCount; from += PART) {
    const some = Array.from({ length: Math.min(PART, hostCount - from) }, (_, at) => from + at);
    yield { ...nothing, hosts: some.map((at) => factsOf(hostNumber(at))) };
  }
  for (let from = 0; from < Number(vms); from += PART) {
    const some = Array.from({ length: Math.min(PART, Number(vms) - from) }, (_, at) => from + at);
    yield {
      ...nothing,
      allocations: some.map((at): Allocation => {
        const cpu = prng.pick([1, 2, 4, 8]);
        return {
          bookingId: `booking-${at}`,
          vmId: `vm-${at}`,
          hostId: `host-${prng.between(0, hostCount - 1)}`,
          assignment: at + 1,
          path: `tenant-${at % 50}:project-${at % 200}`,
          resources: { cpu, memory: cpu * 4_096, disk: 20_480 },
          groups: at % 10 === 0 ? [inGroup('soft-anti-affinity', `g${at % 1_000}`)] : [],
        };
      }),
    };
  }
}

function hostNumber(at: number): Host {
  const limits = { cpu: 128, memory: 524_288, disk: 8_388_608, gpu: 8 };
  const labels = { rack: `r${at % 400}`, model: `m${at % 7}`, owner: `team-${at % 30}` };
  return hostWith(`host-${at}`, limits, { seq: at, zone: `zone-${at % 3}`, labels });
}

async function rebuild(): Promise<void> {
  let number = 0;
  for (const part of parts()) await ledger.stage('made', (number += 1), part);
  await ledger.swap('made', { epoch: 1, highWater: 0, parts: number });
}

/** Asks for each shape twice, so that its ranking is kept, and books nothing. */
function decide(table: HostTable): void {
  const ranking = { strategy: STRATEGIES.cosine, weights: weightsOf({}) };
  for (let at = 0; at < SHAPES; at += 1) {
    const resources = { cpu: 1 + (at % 8), memory: 1_024 + at, disk: 4_096 };
    const request = { resources, constraints: NO_CONSTRAINTS, path: 'root' };
    for (let time = 0; time < 2; time += 1) {
      if (choose(table, request, ranking).kind !== 'placed') throw new Error('there is room');
    }
  }
}

const steps: Step[] = [];
function note(step: string): void {
  const status = readFileSync('/proc/self/status', 'utf8');
  const megabytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1_024;
  steps.push({ step, rssMb: megabytes('VmRSS'), peakMb: megabytes('VmHWM') });
}

/** What is measured is memory: on a busy machine it may take its time. */
const PATIENCE_MS = 60_000;

const ledger = await createLedger({
  cell: 'main',
  url,
  log: silentLog,
  clock: systemClock,
  commandTimeoutMs: PATIENCE_MS,
  lockLeaseMs: PATIENCE_MS,
});
note('connected');
if (part === 'rebuild') {
  await rebuild();
  note('the ledger rebuilt by this process');
}
const view = await ledger.view();
const turn = await ledger.openTurn();
if (view.size !== Number(hosts) || turn.fleet.size !== Number(hosts)) {
  throw new Error('the mirrors do not show all hosts');
}
note('both mirrors read');
decide(turn.fleet);
decide(view);
note('rankings kept in both, as many as may be');
await turn.end();
await ledger.close();
process.send?.(steps);
