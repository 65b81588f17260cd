/** Acts on two catalogues that must answer alike, drawn from a seed. */
import type { AgentVm, AgentVmState } from '../../src/model/agent-report.js';
import type { GroupPolicy } from '../../src/model/groups.js';
import type { HostMode } from '../../src/model/host.js';
import type { LedgerBooking, RecordItem } from '../../src/model/ports.js';
import type { Tables } from '../../src/sim/catalogue/tables.js';
import { TESTER } from '../support/callers.js';
import { byBooking, type Act, type Either } from './twin-answers.js';

const LONG_MS = 600_000;
const HOUR_MS = 3_600_000;

/** Draws from a seed: small, and good enough to choose with (mulberry32). */
export function drawer(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const AGENT_STATES: readonly AgentVmState[] = [
  ...(['creating', 'running', 'running', 'stopping', 'stopped', 'starting', 'failed'] as const),
];
const STATES = ['placed', 'creating', 'running', 'running', 'stopped', 'stopping'] as const;
const POLICIES: readonly GroupPolicy[] = [
  ...(['affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity'] as const),
];

/** Makes one act after another, by what the double holds; the other must hold the same. */
export function actor(tables: Tables, draw: (below: number) => number): () => Act {
  let made = 0;
  let reports = 0;
  const fresh = (prefix: string) => {
    made += 1;
    return `${prefix}-${made.toString()}`;
  };
  const oneOf = <T>(choices: readonly T[]): T => choices[draw(choices.length)]!;
  const chance = (percent: number) => draw(100) < percent;
  const idIn = (rows: Iterable<{ readonly id: string }>, prefix: string): string => {
    const ids = [...rows].map(({ id }) => id);
    return ids.length === 0 || chance(3) ? fresh(prefix) : oneOf(ids);
  };
  const aHost = () => idIn(tables.hosts.rows(), 'host');
  const aVm = () => idIn(tables.vms.rows(), 'vm');
  const aRoom = () => idIn(tables.reservations.rows(), 'rsv');
  const aPath = () => oneOf(['acme', 'acme:web', 'root']);
  const resources = () => ({ cpu: draw(4), memory: 1 + draw(4), ...(chance(5) ? { gpu: 1 } : {}) });
  const users = () => (chance(10) ? [{ name: 'jo', sshKeys: ['ssh-ed25519 AAAA'] }] : []);
  const totals = () => ({
    cpu: { total: 6 + draw(12), source: 'detected' as const },
    memory: { total: chance(80) ? 24 : draw(30), source: 'detected' as const },
  });
  /** Under which a VM is leased, more often than not. */
  const leaseOf = (vmId: string) =>
    chance(10) ? 'nobody' : (tables.vms.get(vmId)?.leaseOwner ?? 'nobody');
  const attempt = (hostId: string) => ({
    host: { id: hostId, name: `${hostId}-name` },
    at: new Date(Date.UTC(2026, 0, 1 + draw(20))),
    outcome: oneOf(['placed', 'refused', 'failed', 'moved'] as const),
    detail: chance(50) ? null : 'odd \0 detail',
  });

  const freesFor = (vmId: string): readonly LedgerBooking[] => {
    const movingTo = tables.vms.get(vmId)?.movingTo ?? null;
    const roomId = movingTo ?? (chance(12) ? aRoom() : null);
    const room = roomId === null ? undefined : tables.allocationOfReservation(roomId);
    const own = chance(5) ? tables.allocationOfVm(aVm()) : undefined;
    return [room, own].flatMap((row) =>
      row === undefined
        ? []
        : [{ bookingId: row.bookingId, vmId: row.vmId ?? vmId, hostId: row.hostId }],
    );
  };

  const openHost = () => {
    const open = [...tables.hosts.rows()].filter(
      (row) => row.state === 'up' && row.mode === 'enabled',
    );
    return chance(90) ? idIn(open, 'host') : aHost();
  };

  /** Whose booking it is to be: new, without a host, or on its way. */
  const holderFor = (kind: RecordItem['kind']): string => {
    if (kind === 'reserve') return fresh('rsv');
    if (kind === 'create') return chance(95) ? fresh('vm') : aVm();
    const homeless = [...tables.vms.rows()].filter(({ hostId }) => hostId === null);
    const moves = homeless.filter(({ movingTo }) => (movingTo !== null) === (kind === 'move'));
    return idIn(chance(90) ? moves : homeless, 'vm');
  };

  const item = (set: string | null): RecordItem => {
    const kind = oneOf([
      'create',
      'create',
      'create',
      'create',
      'again',
      'move',
      'reserve',
    ] as const);
    const id = holderFor(kind);
    const movingTo = tables.vms.get(id)?.movingTo ?? '';
    const heldOn = tables.reservations.get(movingTo)?.hostId;
    const hostId = heldOn !== undefined && chance(90) ? heldOn : openHost();
    const path = aPath();
    const amounts = resources();
    const standing = [...tables.allocations.rows()];
    return {
      kind,
      spec: {
        ...{ id, name: `${id}-name`, path, resources: amounts, image: null, users: users() },
        onHostLoss: chance(30) ? 'restart' : 'keep',
        constraints: chance(20) ? { zone: 'a', labels: undefined } : {},
      },
      requestHash: `hash of ${id}`,
      by: chance(50) ? TESTER : null,
      violations: chance(10) ? [{ name: 'g', policy: 'soft-affinity' }] : [],
      strategy: chance(10) ? 'best-fit' : null,
      reservation:
        kind === 'reserve'
          ? oneOf([
              { purpose: 'held', endsInMs: HOUR_MS },
              { purpose: 'held', endsInMs: -HOUR_MS },
              { purpose: 'move', endsInMs: null },
            ] as const)
          : null,
      booking: {
        bookingId: standing.length > 0 && chance(4) ? oneOf(standing).bookingId : fresh('booking'),
        ...{ vmId: id, hostId, path, resources: amounts, set },
        groups: chance(25)
          ? [{ key: `${path}/g${draw(3).toString()}`, policy: oneOf(POLICIES) }]
          : [],
        frees: kind === 'reserve' ? [] : freesFor(id),
      },
      attempt: attempt(hostId),
    };
  };

  const record = (): Act => {
    const items: RecordItem[] = [];
    for (let party = draw(4); party >= 0; party -= 1) {
      const set = chance(20) ? fresh('set') : null;
      for (let member = set === null ? 0 : draw(3); member >= 0; member -= 1) items.push(item(set));
    }
    const { epoch, highWater } = tables.agreement;
    const under = chance(3) ? epoch - 1 : epoch;
    const seq = highWater + draw(3);
    const lease = fresh('lease');
    const leaseMs = chance(85) ? LONG_MS : -1;
    const taking = chance(50) ? { lease, leaseMs, countMax: draw(4) } : null;
    return { name: 'record', on: (c) => c.record(under, seq, items, taking) };
  };

  const join = (): Act => {
    const known = tables.hosts.get(aHost());
    const isNew = known === undefined || tables.hosts.size < 5 || chance(5);
    const id = isNew ? fresh('host') : known.id;
    const request = {
      id,
      name: isNew && chance(95) ? `${id}-name` : (known?.name ?? id),
      address: chance(80) ? `http://${id}:1` : `http://${id}:2`,
      credential: chance(90) ? `credential of ${id}` : 'another',
      zone: oneOf(['a', 'b']),
      labels: chance(50) ? {} : { disk: 'ssd' },
      totals: totals(),
      version: '1',
      bootId: chance(80) ? 'boot-1' : 'boot-2',
      ip: null,
      tokenHash: chance(20) ? `hash of ${id}` : chance(5) ? 'the same' : null,
      ticket: oneOf([
        { by: 'admin' },
        { by: 'admin' },
        { by: 'host', hostId: chance(90) ? id : 'another' },
        { by: 'token', tokenId: idIn(tables.tokens.rows(), 'token') },
      ] as const),
    };
    return { name: 'joinHost', on: (c) => c.joinHost(request, TESTER) };
  };

  const hostReport = (hostId: string) => {
    reports += chance(95) ? 1 : 0;
    const said = tables.hosts.get(hostId)?.said.totals ?? {};
    const bootId = tables.hosts.get(hostId)?.bootId ?? 'boot-1';
    const used = { cpu: draw(3) };
    const now = chance(85) ? said : totals();
    return { totals: now, used, version: '1', bootId, report: reports };
  };

  const poll = (): Act => {
    const polls = [...tables.hosts.rows()]
      .filter(() => chance(70))
      .map(({ id, address, missedPolls }) => {
        const isUp = chance(95);
        return {
          hostId: id,
          address: chance(95) ? address : 'http://elsewhere:1',
          state: isUp ? ('up' as const) : oneOf(['suspect', 'down'] as const),
          missedPolls: isUp ? 0 : missedPolls + 1,
          status: isUp ? hostReport(id) : null,
        };
      });
    return { name: 'saveHostPolls', on: (c) => c.saveHostPolls(polls) };
  };

  const saidOf = (vmId: string, mayBeNewer: boolean): AgentVm => {
    const assignment = tables.allocationOfVm(vmId)?.assignment ?? 7;
    const newest = assignment + (mayBeNewer ? 1 : 0);
    const said = chance(90) ? assignment : Math.max(0, newest - draw(3));
    const reason = chance(20) ? { code: 'said', detail: 'by itself \ud83d' } : null;
    const state = oneOf(AGENT_STATES);
    return { id: vmId, assignment: said, state, resources: { cpu: 1 + draw(2) }, reason };
  };

  const tell = (): Act => {
    const hostId = aHost();
    const report = hostReport(hostId);
    const own = [...tables.vmsOfHost.of(hostId)].filter(() => chance(80));
    const known = [...tables.orphansOfHost.of(hostId)].filter(() => chance(85));
    const odd = chance(20) ? [aVm()] : chance(15) ? [fresh('stranger')] : [];
    // Of two that get a new assignment by one report, nobody can say which one gets the lower.
    const isAlone = tables.vmsOfHost.of(hostId).size < 2;
    const named = [...new Set([...own, ...known, ...odd])];
    const vms = named.map((vmId) => saidOf(vmId, isAlone));
    const onMissing = isAlone ? oneOf(['mark', 'recreate'] as const) : 'mark';
    const isFresh = chance(90);
    return {
      name: 'a report',
      on: async (c) => [
        isFresh ? await c.saveHostReport(hostId, report) : null,
        [...(await c.reportsWithNews([{ ...report, hostId, vms, askedAt: null }]))],
        await c.reportVms(hostId, report, vms, { onMissing, askedAt: null }),
        await c.noteStrangers(hostId, report, vms, null),
      ],
    };
  };

  const work = (): Act => {
    const lease = fresh('lease');
    const leaseMs = chance(85) ? LONG_MS : -1;
    const busy = chance(20) ? [aHost(), aHost()] : [];
    return { name: 'takeWork', on: (c) => c.takeWork(lease, 10_000, leaseMs, busy) };
  };

  const progress = (): Act => {
    const leased = [...tables.vms.rows()].filter(({ leaseOwner }) => leaseOwner !== null);
    const found = leased
      .filter(() => chance(60))
      .map(({ id }) => ({
        vmId: id,
        lease: leaseOf(id),
        progress: {
          state: oneOf(STATES),
          reason: chance(20) ? { code: 'why', detail: 'so' } : null,
          ...(chance(50) ? { hasRun: true } : {}),
          ...(chance(10) ? { desiredState: 'stopped' as const } : {}),
          nextInMs: oneOf([null, 0, LONG_MS]),
          failedTry: chance(20),
          postponed: chance(10),
        },
      }));
    return { name: 'saveProgress', on: (c) => c.saveProgress(found) };
  };

  const release = (): Act => {
    const leased = [...tables.vms.rows()].filter(({ leaseOwner }) => leaseOwner !== null);
    const vmId = idIn(leased, 'vm');
    const lease = leaseOf(vmId);
    const state =
      tables.vms.get(vmId)?.desiredState === 'deleted'
        ? ('deleted' as const)
        : oneOf(['placed', 'placed', 'failed'] as const);
    const result = {
      ...{ state, reason: chance(40) ? null : { code: 'gone', detail: 'it went' } },
      ...(chance(50) ? { attempt: attempt(aHost()) } : {}),
      movesOn: chance(50),
    };
    return { name: 'releaseVm', on: (c) => c.releaseVm(lease, vmId, result) };
  };

  const enqueue = (): Act => {
    const id = chance(90) ? fresh('vm') : aVm();
    const path = aPath();
    const onHostLoss = chance(30) ? ('restart' as const) : ('keep' as const);
    const disk = { image: 'i', users: users() };
    const base = { id, name: id, path, resources: resources(), ...disk, constraints: {} };
    const spec = { ...base, onHostLoss };
    const waitMs = chance(70) ? LONG_MS : -1;
    const arrival = { spec, requestHash: id, strategy: null, waitMs, by: TESTER };
    return { name: 'enqueueVm', on: (c) => c.enqueueVm(arrival) };
  };

  const ref = (id: string) => ({ id, name: `${id}-name` });
  const move = (vmId: string) => ({
    vm: ref(vmId),
    state: oneOf(['planned', 'blocked', 'moving', 'moved', 'cancelled'] as const),
    planned: chance(50) ? ref(aHost()) : null,
    target: null,
    detail: chance(50) ? null : 'late',
    summary: null,
  });

  const drain = (): Act => {
    const host = aHost();
    const moves = [...tables.vmsOfHost.of(host)].map(move);
    const plan = { reason: 'disks', owner: chance(50) ? 'jo' : null, moves };
    return { name: 'startDrain', on: (c) => c.startDrain(host, plan, TESTER) };
  };

  const drainedHost = () =>
    idIn(
      [...tables.drains.rows()].map(({ hostId: id }) => ({ id })),
      'host',
    );

  const beginMove = (): Act => {
    const from = drainedHost();
    const vmId = idIn(
      [...tables.vmsOfHost.of(from)].map((id) => ({ id })),
      'vm',
    );
    const rooms = [...tables.reservations.rows()].filter(({ purpose }) => purpose === 'move');
    const reservationId = idIn(rooms, 'rsv');
    const begun = { vmId, from, target: ref(aHost()), reservationId, detail: null };
    return { name: 'beginMove', on: (c) => c.beginMove(begun) };
  };

  const patch = (): Act => {
    const host = chance(90) ? aHost() : `${aHost()}-name`;
    const mode = oneOf<HostMode>([
      'enabled',
      'enabled',
      'enabled',
      'enabled',
      'cordoned',
      'draining',
    ]);
    const endsInMs = mode === 'cordoned' || chance(3) ? oneOf([null, -1, LONG_MS]) : null;
    const patched = {
      ...(chance(60) ? { mode: { mode, reason: 'why', owner: null, endsInMs } } : {}),
      ...(chance(50)
        ? {
            overrides: {
              zone: chance(50) ? 'z' : null,
              totals: chance(30) ? { gpu: draw(3) } : null,
              overcommit: chance(30) ? { cpu: 2 } : null,
              labels: chance(50) ? { rack: 'r' } : {},
            },
          }
        : {}),
    };
    return { name: 'patchHost', on: (c) => c.patchHost(host, patched, TESTER) };
  };

  const anOrphan = () => {
    const rows = [...tables.orphans.rows()];
    return rows.length === 0 ? { hostId: aHost(), vmId: aVm() } : oneOf(rows);
  };

  const orphan = (): Act => {
    const { hostId, vmId } = anOrphan();
    const adoption = { hostId, vmId, name: 'web', path: aPath(), bookingId: fresh('booking') };
    return oneOf<Act>([
      { name: 'adoptOrphan', on: (c) => c.adoptOrphan(adoption, TESTER) },
      { name: 'dismissOrphan', on: (c) => c.dismissOrphan(hostId, vmId, TESTER) },
      { name: 'forgetOrphan', on: (c) => c.forgetOrphan(hostId, vmId) },
    ]);
  };

  const onVm = (): Act => {
    const vmId = aVm();
    const lease = leaseOf(vmId);
    const desired = oneOf(['running', 'stopped', 'deleted'] as const);
    const mover = idIn(
      [...tables.moving].map((id) => ({ id })),
      'vm',
    );
    const moverLease = leaseOf(mover);
    const above = (tables.allocationOfVm(vmId)?.assignment ?? 0) + draw(4) - 1;
    return oneOf<Act>([
      { name: 'want', on: (c) => c.want(vmId, desired, TESTER) },
      { name: 'want', on: (c) => c.want(vmId, desired, TESTER) },
      { name: 'leaveHost', on: (c) => c.leaveHost(moverLease, mover) },
      { name: 'renewAssignment', on: (c) => c.renewAssignment(lease, vmId, above) },
      { name: 'vmByRequest', on: (c) => c.vmByRequest(vmId) },
    ]);
  };

  const onHost = (): Act => {
    const host = chance(70) ? drainedHost() : aHost();
    const moves = [...tables.vmsOfHost.of(host), 'late'].filter(() => chance(50)).map(move);
    const force = chance(30) ? { reason: 'burnt' } : null;
    const by = chance(50) ? TESTER : null;
    return oneOf<Act>([
      { name: 'cancelDrain', on: (c) => c.cancelDrain(host, by) },
      { name: 'finishDrain', on: (c) => c.finishDrain(host) },
      { name: 'saveMoves', on: (c) => c.saveMoves(host, moves) },
      { name: 'noteTried', on: (c) => c.noteTried(host, 7) },
      { name: 'drain', on: (c) => c.drain(host) },
      { name: 'vmsOn', on: (c) => c.vmsOn(host) },
      { name: 'loseVms', on: (c) => c.loseVms(host) },
      {
        name: 'fenceHost',
        on: async (c) => {
          const fenced = await c.fenceHost(host, 'it is off', TESTER);
          return fenced && { ...fenced, released: byBooking(fenced.released) };
        },
      },
      {
        name: 'liftFence',
        on: async (c) => {
          const at = (await c.host(host))?.fence?.at ?? new Date(0);
          return [await c.fencedVms(host), await c.liftFence(host, at, TESTER)];
        },
      },
      {
        name: 'forgetFencedVms',
        on: async (c) => c.forgetFencedVms(host, (await c.fencedVms(host)).slice(0, 2)),
      },
      ...(tables.hosts.size > 8 || force === null
        ? [
            {
              name: 'retireHost',
              on: async (c: Either) => {
                const retired = await c.retireHost(host, force, TESTER);
                return retired && { ...retired, released: byBooking(retired.released) };
              },
            },
          ]
        : []),
    ]);
  };

  const upkeep = (): Act => {
    const room = aRoom();
    const bookings = [...tables.pendingReleases.rows()].map(({ bookingId }) => bookingId);
    const tokenId = fresh('token');
    const token = {
      ...{ id: tokenId, prefix: 'p', hash: `of ${tokenId}`, name: 't', path: null },
      ...{ role: oneOf(['join', 'operator'] as const), expiresInS: oneOf([null, -1, 60]) },
    };
    const holder = oneOf(['a', 'b']);
    const name = { scope: 's', key: oneOf(['k1', 'k2']) };
    const leaseMs = oneOf([LONG_MS, -1]);
    const { epoch } = tables.agreement;
    return oneOf<Act>([
      { name: 'endReservation', on: (c) => c.endReservation(room, TESTER) },
      { name: 'expireWaiting', on: (c) => c.expireWaiting(2) },
      { name: 'endCordons', on: (c) => c.endCordons() },
      { name: 'purgeDeleted', on: (c) => c.purgeDeleted(-1) },
      { name: 'settleReleases', on: (c) => c.settleReleases(bookings) },
      { name: 'bookings', on: (c) => c.bookings({ limit: 1_000, cursor: null }) },
      { name: 'nextEpoch', on: (c) => c.nextEpoch(0) },
      { name: 'agree', on: (c) => c.agree(epoch, 'made') },
      { name: 'recordedBookings', on: (c) => c.recordedBookings(bookings) },
      { name: 'createToken', on: (c) => c.createToken(token, TESTER) },
      { name: 'revokeToken', on: (c) => c.revokeToken(tokenId, TESTER) },
      { name: 'credential', on: (c) => c.credential(token.hash) },
      { name: 'acquireLease', on: (c) => c.acquireLease('l', holder, leaseMs) },
      { name: 'releaseLease', on: (c) => c.releaseLease('l', holder) },
      { name: 'beginRequest', on: (c) => c.beginRequest(name, holder, holder, leaseMs) },
      { name: 'reopenRequest', on: (c) => c.reopenRequest(name, holder) },
      { name: 'keepAnswer', on: (c) => c.keepAnswer(name, holder, { status: 1, text: '1' }) },
      { name: 'purgeRequests', on: (c) => c.purgeRequests(-1) },
      { name: 'purgeEvents', on: (c) => c.purgeEvents(LONG_MS) },
      { name: 'renumber', on: (c) => c.renumber(TESTER) },
    ]);
  };

  const table: readonly (readonly [number, () => Act])[] = [
    ...([
      [14, record],
      [4, join],
      [8, poll],
      [14, tell],
      [10, work],
      [10, progress],
    ] as const),
    ...([
      [8, release],
      [3, enqueue],
      [3, drain],
      [5, beginMove],
      [3, patch],
    ] as const),
    ...([
      [3, orphan],
      [12, onVm],
      [6, onHost],
      [8, upkeep],
    ] as const),
  ];
  const whole = table.reduce((sum, [weight]) => sum + weight, 0);
  return () => {
    if (tables.hosts.size < 3) return join();
    let place = draw(whole);
    for (const [weight, make] of table) {
      if (place < weight) return make();
      place -= weight;
    }
    return record();
  };
}
