/** What has become of a move is read off its VM: a table of every situation. */
import { describe, expect, it } from '@jest/globals';
import { changedMoves, HOST_SILENT, judgeMoves } from '../../src/control/drain-moves.js';
import type { Drain, DrainMove } from '../../src/model/drain.js';
import type { Vm } from '../../src/model/vm.js';
import { modelVm } from '../support/control-double.js';

const HERE = { id: 'a', name: 'host-a' };
const THERE = { id: 'b', name: 'host-b' };
const ELSEWHERE = { id: 'c', name: 'host-c' };

const move = (changes: Partial<DrainMove> = {}): DrainMove => ({
  vm: { id: 'vm', name: 'vm' },
  state: 'planned',
  planned: THERE,
  target: null,
  detail: null,
  summary: null,
  ...changes,
});

const drain = (moves: readonly DrainMove[], state: Drain['state'] = 'draining'): Drain => ({
  host: HERE,
  state,
  reason: null,
  owner: null,
  startedAt: new Date(0),
  endedAt: null,
  moves,
});

const vm = (changes: Partial<Vm> = {}): Vm =>
  modelVm({ id: 'vm', name: 'vm', host: HERE, state: 'running', hasRun: true, ...changes });

interface Situation {
  readonly name: string;
  readonly move: Partial<DrainMove>;
  readonly vm: Partial<Vm> | null;
  readonly hostState?: 'up' | 'down' | 'suspect';
  readonly drainState?: Drain['state'];
  readonly becomes: Partial<DrainMove>;
}

const SITUATIONS: readonly Situation[] = [
  { name: 'waits for its turn', move: {}, vm: {}, becomes: { state: 'planned' } },
  { name: 'is on its way', move: {}, vm: { movingTo: 'rsv-1' }, becomes: { state: 'moving' } },
  {
    name: 'was let go and is nowhere',
    move: { state: 'moving', target: THERE },
    vm: { movingTo: 'rsv-1', host: null, state: 'placed', hasRun: false },
    becomes: { state: 'moving', target: THERE },
  },
  {
    name: 'is being made at its new host',
    move: { state: 'moving', target: THERE },
    vm: { host: THERE, state: 'creating', hasRun: false },
    becomes: { state: 'moving', target: THERE },
  },
  {
    name: 'runs at its new host',
    move: { state: 'moving', target: THERE },
    vm: { host: THERE },
    becomes: { state: 'moved', target: THERE, detail: null },
  },
  {
    name: 'has ended elsewhere than planned',
    move: { state: 'moving', target: THERE },
    vm: { host: ELSEWHERE },
    becomes: {
      state: 'moved',
      target: ELSEWHERE,
      detail: 'not to host-b as planned: see the attempts of the VM',
    },
  },
  {
    name: 'was sent elsewhere than planned for a reason',
    move: { state: 'moving', target: ELSEWHERE, detail: 'not to host-b as planned: cordoned' },
    vm: { host: ELSEWHERE },
    becomes: { state: 'moved', detail: 'not to host-b as planned: cordoned' },
  },
  {
    name: 'has failed on its way',
    move: { state: 'moving', target: THERE },
    vm: { host: null, state: 'failed', reason: { code: 'x', detail: 'No room.' } },
    becomes: { state: 'moved', target: null, detail: 'it has failed: No room.' },
  },
  {
    name: 'has lost its room and stays for now',
    move: { state: 'moving', target: THERE },
    vm: {},
    becomes: { state: 'planned', target: null },
  },
  {
    name: 'was deleted',
    move: {},
    vm: null,
    becomes: { state: 'moved', detail: 'it was deleted' },
  },
  {
    name: 'is being deleted',
    move: { state: 'blocked' },
    vm: { desiredState: 'deleted' },
    becomes: { state: 'moved', detail: 'it was deleted' },
  },
  {
    name: 'is on a host that does not answer',
    move: {},
    vm: { state: 'unknown' },
    hostState: 'down',
    becomes: { state: 'blocked', detail: HOST_SILENT },
  },
  {
    name: 'is on its way from a host that does not answer',
    move: { state: 'moving', target: THERE },
    vm: { state: 'unknown', movingTo: 'rsv-1' },
    hostState: 'down',
    becomes: { state: 'blocked', target: THERE, detail: HOST_SILENT },
  },
  {
    name: 'is on its way from a host that answers again',
    move: { state: 'blocked', target: THERE, detail: HOST_SILENT },
    vm: { movingTo: 'rsv-1' },
    becomes: { state: 'moving', target: THERE, detail: null },
  },
  {
    name: 'goes on after a cancel',
    move: { state: 'moving', target: THERE },
    vm: { host: THERE },
    drainState: 'cancelled',
    becomes: { state: 'moved', target: THERE },
  },
  {
    name: 'stays after a cancel',
    move: { state: 'cancelled' },
    vm: {},
    drainState: 'cancelled',
    becomes: { state: 'cancelled' },
  },
];

describe('a move whose VM', () => {
  it.each(SITUATIONS)('$name', (situation) => {
    const { hostState = 'up', drainState = 'draining' } = situation;
    const before = drain([move(situation.move)], drainState);
    const vms = new Map(situation.vm === null ? [] : [['vm', vm(situation.vm)]]);
    const [after] = judgeMoves(before, { id: HERE.id, state: hostState }, vms);
    expect(after).toMatchObject(situation.becomes);
    // Said again, nothing more changes.
    const settled = drain(after === undefined ? [] : [after], drainState);
    const again = judgeMoves(settled, { id: HERE.id, state: hostState }, vms);
    expect(changedMoves(settled.moves, again)).toEqual([]);
  });
});

describe('the moves of a drain', () => {
  it('gain the VMs that the plan did not know, without those that are leaving', () => {
    const vms = new Map([
      ['late', vm({ id: 'late', name: 'late' })],
      ['leaving', vm({ id: 'leaving', desiredState: 'deleted' })],
    ]);
    const moves = judgeMoves(drain([]), { id: HERE.id, state: 'up' }, vms);
    expect(moves).toMatchObject([{ vm: { id: 'late' }, state: 'planned', planned: null }]);
    expect(judgeMoves(drain([], 'cancelled'), { id: HERE.id, state: 'up' }, vms)).toEqual([]);
  });

  it('are written only where something is new', () => {
    const kept = [move(), move({ vm: { id: 'other', name: 'other' } })];
    const now = [move({ state: 'moving' }), kept[1]!];
    expect(changedMoves(kept, now)).toEqual([now[0]]);
  });
});
