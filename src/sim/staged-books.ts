/** A ledger that is being built beside the double's present one, part by part. */
import type { HostFacts } from '../model/host.js';
import type { LedgerPart } from '../model/ports.js';
import type { Held } from './ledger-shapes.js';

interface StagedVm {
  readonly held: Held;
  /** 0 for a reservation. */
  readonly assignment: number;
}

export interface Staged {
  readonly parts: number;
  /** When the last part came. */
  readonly atMs: number;
  readonly hosts: ReadonlyMap<string, HostFacts>;
  /** By VM or reservation. */
  readonly vms: ReadonlyMap<string, StagedVm>;
}

export const NOTHING_STAGED: Staged = { parts: 0, atMs: 0, hosts: new Map(), vms: new Map() };

/** Reservations are none. */
export const vmsIn = ({ vms }: Staged): number =>
  [...vms.values()].filter(({ assignment }) => assignment > 0).length;

/** What there is with one part more; what is staged stays as it was. */
export function withPart(staged: Staged, part: LedgerPart, nowMs: number): Staged {
  const hosts = new Map(staged.hosts);
  for (const facts of part.hosts) hosts.set(facts.id, facts);
  const vms = new Map(staged.vms);
  for (const { vmId, bookingId } of part.gone) {
    if (vms.get(vmId)?.held.bookingId === bookingId) vms.delete(vmId);
  }
  for (const { bookingId, vmId, hostId, resources, groups, assignment } of part.allocations) {
    const isOlder = (vms.get(vmId)?.assignment ?? 0) > assignment;
    // It comes again with its host.
    if (isOlder || !hosts.has(hostId)) continue;
    const booking = { bookingId, vmId, hostId, resources, groups };
    const held = { ...booking, displaced: [], committed: true, atMs: nowMs };
    vms.set(vmId, { held, assignment });
  }
  return { parts: staged.parts + 1, atMs: nowMs, hosts, vms };
}
