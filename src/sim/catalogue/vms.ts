/** VMs in the catalogue's double: for readers, for those who want, and the line of those who wait. */
import { DomainError } from '../../model/errors.js';
import { isAtOrBelow } from '../../model/path.js';
import type { Catalogue, VmQuery } from '../../model/ports.js';
import type { Arrival, WaitingStore } from '../../model/stores/waiting.js';
import type { DesiredState, Vm } from '../../model/vm.js';
import { pageOf, positionOf } from './cursors.js';
import { newVm } from './record.js';
import type { VmRow } from './rows.js';
import { kept } from './stored-json.js';
import { answered, type Tables } from './tables.js';
import { inOrder, vmOf, vmRows } from './views.js';
import { insertVm, updateVm } from './writing.js';

type Vms = Pick<Catalogue, 'vm' | 'vmByRequest' | 'vms' | 'want' | 'purgeDeleted'>;

/** What asking for a state is called in the audit log. */
const WANTS = { running: 'vm.start', stopped: 'vm.stop', deleted: 'vm.delete' } as const;

/** A VM that is not deleted. */
function liveVm(tables: Tables, id: string): VmRow | undefined {
  const row = tables.vms.get(id);
  return row?.deletedAt === null ? row : undefined;
}

export const vmsOf = (tables: Tables): Vms => ({
  vm: (id) =>
    answered(tables, () => {
      const row = liveVm(tables, id);
      return row === undefined ? null : vmOf(tables, row);
    }),

  vmByRequest: (id) =>
    answered(tables, () => {
      const row = tables.vms.get(id);
      return row === undefined ? null : { vm: vmOf(tables, row), requestHash: row.requestHash };
    }),

  vms: (query) =>
    answered(tables, () => {
      const after = query.cursor === null ? 0 : positionOf(query.cursor);
      const found = [...tables.vms.rows()].filter(
        (row) => row.seq > after && row.deletedAt === null && isAskedFor(tables, row, query),
      );
      const seqOf = ({ seq }: VmRow) => seq;
      return pageOf(inOrder(found), query.limit, seqOf, (row) => vmOf(tables, row));
    }),

  want: (id, desired, by) =>
    answered(tables, () => want(tables, id, desired), { by, action: WANTS[desired] }),

  purgeDeleted: (olderThanMs) =>
    answered(tables, () => {
      const before = tables.now() - olderThanMs;
      const old = vmRows(tables, tables.deleted).filter((row) => (row.deletedAt ?? 0) < before);
      for (const { id } of old) tables.vms.delete(id);
      return old.length;
    }),
});

function isAskedFor(tables: Tables, row: VmRow, { hostId, path, state }: VmQuery): boolean {
  if (state !== undefined && row.state !== state) return false;
  if (path !== undefined && !isAtOrBelow(row.path, path)) return false;
  if (hostId === undefined) return true;
  return row.hostId !== null && [row.hostId, tables.hosts.get(row.hostId)?.name].includes(hostId);
}

function want(tables: Tables, id: string, desired: DesiredState): Vm | null {
  const row = liveVm(tables, id);
  if (row === undefined) return null;
  // A waiting, failed or leaving VM can only be wanted gone.
  const isSettled =
    row.desiredState === 'deleted' || row.state === 'waiting' || row.state === 'failed';
  if (desired !== 'deleted' && isSettled) throw refusedWant(row);
  const now = tables.now();
  const changes = { desiredState: desired, dueAt: now, tries: 0, updatedAt: now };
  return vmOf(tables, updateVm(tables, row, changes));
}

const refusedWant = ({ state, desiredState }: VmRow): DomainError =>
  new DomainError(
    'state_conflict',
    desiredState === 'deleted'
      ? 'This VM is being deleted.'
      : state === 'waiting'
        ? 'This VM waits for room and starts by itself when it has a host; delete it to end the wait.'
        : 'This VM has failed and holds nothing; delete it and create another.',
    { extra: { state, desiredState } },
  );

// The line of those who wait.

const WAIT_DEADLINE = kept({
  code: 'wait_deadline',
  detail: 'No host had room for it before its deadline.',
});

/** Those who wait, in order of arrival; those that are to be deleted left out. */
const lineOf = (tables: Tables): VmRow[] =>
  vmRows(tables, tables.waiting).filter(({ desiredState }) => desiredState !== 'deleted');

export const waitingOf = (tables: Tables): WaitingStore => ({
  enqueueVm: (arrival) =>
    answered(tables, () => enqueue(tables, arrival), { by: arrival.by, action: 'vm.create' }),

  waitingLine: () =>
    answered(tables, () => {
      const line = lineOf(tables);
      return { count: line.length, newest: line.at(-1)?.seq ?? 0 };
    }),

  waitingVms: (after, limit) =>
    answered(tables, () => {
      const now = tables.now();
      return lineOf(tables)
        .filter(({ seq, waitUntil }) => seq > after && (waitUntil ?? 0) > now)
        .slice(0, limit)
        .map(({ seq, strategy, id, name, path, resources, image, users, ...row }) => {
          const { constraints, onHostLoss } = row;
          const spec = { id, name, path, resources, image, users, constraints, onHostLoss };
          return { seq, strategy, spec };
        });
    }),

  expireWaiting: (limit) =>
    answered(tables, () => {
      const now = tables.now();
      const late = lineOf(tables)
        .filter(({ waitUntil }) => (waitUntil ?? 0) <= now)
        .slice(0, limit);
      for (const row of late) {
        updateVm(tables, row, {
          ...{ state: 'failed', waitUntil: null, dueAt: null, reason: WAIT_DEADLINE },
          updatedAt: tables.now(),
        });
      }
      return late.map(({ id }) => id);
    }),
});

function enqueue(
  tables: Tables,
  arrival: Arrival,
): { readonly vm: Vm; readonly requestHash: string } {
  const known = tables.vms.get(arrival.spec.id);
  const now = tables.now();
  const row =
    known ??
    insertVm(
      tables,
      newVm(tables, arrival, now, { state: 'waiting', waitUntil: now + arrival.waitMs }),
    );
  return { vm: vmOf(tables, row), requestHash: row.requestHash };
}
