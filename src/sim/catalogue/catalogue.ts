/**
 * The catalogue's double: in memory, with the semantics of the real one and none of its waiting.
 * Each call is done at once as a whole and answered in a microtask; time and ids are handed in, so
 * the same calls give the same answers. It has no faults: whoever wants some wraps it.
 */
import type { Catalogue } from '../../model/ports.js';
import type { VerifyStore } from '../../model/stores/verify.js';
import { agreementOf, leasesOf } from './agreement.js';
import { changesOf } from './changes.js';
import { drainsOf } from './drains.js';
import { auditOf, eventsOf } from './events.js';
import { fencesOf } from './fences.js';
import { fleetWatchOf } from './fleet-watch.js';
import { hostReportsOf } from './host-reports.js';
import { hostsOf } from './hosts.js';
import { idempotencyOf } from './idempotency.js';
import { orphansOf } from './orphans.js';
import { recordOf } from './record.js';
import { reportsOf } from './reports.js';
import { reservationsOf } from './reservations.js';
import { retireOf } from './retire.js';
import { Tables, type CatalogueDoubleOptions } from './tables.js';
import { tokensOf } from './tokens.js';
import { usageStoreOf } from './usage.js';
import { verifyOf } from './verify.js';
import { vmsOf, waitingOf } from './vms.js';
import { workOf } from './work.js';

export interface CatalogueDouble {
  /** One for all replicas: it is the database that they share. Closing it changes nothing. */
  readonly catalogue: Catalogue & VerifyStore;
  /** What it holds, for an auditor that looks between two events; not to be written. */
  readonly tables: Tables;
}

/** An empty catalogue. */
export function catalogueDouble(options: CatalogueDoubleOptions): CatalogueDouble {
  const tables = new Tables(options);
  const catalogue: Catalogue & VerifyStore = {
    ping: () => Promise.resolve(),
    close: () => Promise.resolve(),
    ...agreementOf(tables),
    ...changesOf(tables),
    ...vmsOf(tables),
    ...recordOf(tables),
    ...reservationsOf(tables),
    ...workOf(tables),
    ...reportsOf(tables),
    ...orphansOf(tables),
    ...hostsOf(tables),
    ...hostReportsOf(tables),
    ...fleetWatchOf(tables),
    ...leasesOf(tables),
    ...usageStoreOf(tables),
    ...drainsOf(tables),
    ...fencesOf(tables),
    ...retireOf(tables),
    ...eventsOf(tables),
    ...auditOf(tables),
    ...tokensOf(tables),
    ...waitingOf(tables),
    ...idempotencyOf(tables),
    ...verifyOf(tables),
  };
  return { catalogue, tables };
}
