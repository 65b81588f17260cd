/** Who of those that wait would fit now: in order, past those who do not, and without a trace. */
import { describe, expect, it } from '@jest/globals';
import { CHECKS_MAX, pickWaiting } from '../../src/control/pick-waiting.js';
import type { Constraints } from '../../src/model/constraints.js';
import type { Resources } from '../../src/model/resources.js';
import type { WaitingVm } from '../../src/model/stores/waiting.js';
import { cosine } from '../../src/placement/cosine.js';
import { HostTable } from '../../src/placement/host-table.js';
import { weightsOf } from '../../src/placement/strategy.js';
import { fleetHost } from '../support/hosts.js';

const RANKING = { strategy: cosine, weights: weightsOf({}) };
const SMALL = { cpu: 1, memory: 100, disk: 100 };
const tight = () => fleetHost({ noReserve: true, total: { cpu: 16, memory: 300, disk: 10_000 } });

let seq = 0;
function waiting(resources: Resources = SMALL, constraints: Constraints = {}): WaitingVm {
  seq += 1;
  const id = `vm-${seq.toString()}`;
  const spec = {
    id,
    name: id,
    path: 'acme',
    resources,
    image: null,
    users: [],
    constraints,
    onHostLoss: 'keep' as const,
  };
  return { seq, spec, strategy: null };
}

const memoryOf = (memory: number) => waiting({ ...SMALL, memory });
const pick = (table: HostTable, line: readonly WaitingVm[]) =>
  pickWaiting(table, line, RANKING).picked;

describe('who of those that wait would fit now', () => {
  it('are as many as there is room for, from the front', () => {
    const line = [waiting(), waiting(), waiting(), waiting()];
    expect(pick(HostTable.of([tight()]), line)).toEqual(line.slice(0, 3));
  });

  it('are found behind those who fit nowhere', () => {
    const [giant, first, second, third] = [memoryOf(301), memoryOf(200), memoryOf(200), waiting()];
    expect(pick(HostTable.of([tight()]), [giant, first, second, third])).toEqual([first, third]);
  });

  it('leave the room of an earlier one alone, on every host', () => {
    const line = [memoryOf(250), memoryOf(250), memoryOf(100), memoryOf(50), memoryOf(50)];
    const picked = pick(HostTable.of([tight(), tight()]), line);
    expect(picked.map(({ seq: at }) => at)).toEqual(
      [line[0], line[1], line[3], line[4]].map((one) => one?.seq),
    );
  });

  it('are one to a host where they want to be apart', () => {
    const apart: Constraints = { groups: [{ name: 'web', policy: 'anti-affinity' }] };
    const line = [waiting(SMALL, apart), waiting(SMALL, apart), waiting(SMALL, apart), waiting()];
    expect(pick(HostTable.of([tight(), tight()]), line)).toEqual([line[0], line[1], line[3]]);
  });

  it('leave no trace in the table', () => {
    const hosts = [tight(), tight()];
    const table = HostTable.of(hosts);
    const apart: Constraints = { groups: [{ name: 'web', policy: 'anti-affinity' }] };
    const line = [
      waiting(SMALL, apart),
      waiting(),
      waiting(),
      memoryOf(999),
      waiting(SMALL, apart),
    ];
    const first = pick(table, line);
    const booked = [...table.hosts()].flatMap(({ allocated }) => Object.values(allocated));
    expect(booked.every((amount) => amount === 0)).toBe(true);
    expect(pick(table, line)).toEqual(first);
  });

  it('are sought among so many at a time, of which those that are alike count once', () => {
    const table = HostTable.of([tight()]);
    const line = Array.from({ length: CHECKS_MAX + 5 }, (_, index) => memoryOf(301 + index));
    expect(pickWaiting(table, line, RANKING)).toEqual({ picked: [], seen: CHECKS_MAX });
    const alike = Array.from({ length: CHECKS_MAX + 5 }, () => memoryOf(301));
    const fits = waiting();
    expect(pickWaiting(table, [...alike, fits], RANKING)).toEqual({
      picked: [fits],
      seen: alike.length + 1,
    });
  });

  it('are nobody in a fleet without hosts', () => {
    expect(pick(HostTable.of([]), [waiting()])).toEqual([]);
  });
});
