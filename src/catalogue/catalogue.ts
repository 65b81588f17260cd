/** The catalogue: what exists, in PostgreSQL. One file per noun; this joins them. */
import { sql } from 'kysely';
import type { CapacityPolicy } from '../model/inventory.js';
import type { Catalogue, Log } from '../model/ports.js';
import type { VerifyStore } from '../model/stores/verify.js';
import { agreementOf } from './agreement.js';
import { auditOf } from './audit.js';
import { changesOf } from './changes.js';
import { connect, type Database, type DatabaseAddress } from './connection.js';
import { eventsOf } from './events.js';
import { answered } from './failures.js';
import { fleetWatchOf } from './fleet-watch.js';
import { hostReportsOf } from './host-reports.js';
import { hostSettingsOf } from './host-settings.js';
import { drainsOf } from './drains.js';
import { fencesOf } from './fences.js';
import { hostsOf } from './hosts.js';
import { idempotencyOf } from './idempotency.js';
import { leasesOf } from './leases.js';
import { migrate } from './migrate.js';
import { movesOf } from './moves.js';
import { orphansOf } from './orphans.js';
import { recordOf } from './record.js';
import { reportsOf } from './reports.js';
import { reservationsOf } from './reservations.js';
import { setAsideBy } from './sound.js';
import { tokensOf } from './tokens.js';
import { retireOf } from './retire.js';
import { usageStoreOf } from './usage.js';
import { verifyOf } from './verify.js';
import { vmsOf } from './vms.js';
import { waitingOf } from './waiting.js';
import { workOf } from './work.js';

export interface CatalogueOptions {
  readonly log: Log;
  readonly poolMax?: number;
  /** Counts what is set aside, by kind. */
  readonly onSetAside?: (kind: string) => void;
  readonly statementTimeoutMs?: number;
  /** See reports.ts. */
  readonly missingGraceMs?: number;
  /** Of every host, where its operator says nothing else. When absent, all may be booked once. */
  readonly capacity?: CapacityPolicy;
}

export type OpenCatalogue = Catalogue &
  VerifyStore & {
    /** The same, with connections of its own and less patience: for who waits for an answer. */
    readonly forRequests: Catalogue;
  };

const POOL_MAX = 10;
const STATEMENT_TIMEOUT_MS = 5_000;
/** Longer than the polls of a round wait for each other. */
const MISSING_GRACE_MS = 10_000;
const ALL_ONCE: CapacityPolicy = { overcommit: {}, reserve: {} };

/**
 * Opens a database and brings it to the present schema.
 * @throws DomainError `catalogue_unavailable`; Error when an embedded one is in use
 */
export async function openCatalogue(
  address: DatabaseAddress,
  options: CatalogueOptions,
): Promise<OpenCatalogue> {
  const { log, poolMax = POOL_MAX, statementTimeoutMs = STATEMENT_TIMEOUT_MS } = options;
  const { missingGraceMs = MISSING_GRACE_MS, capacity = ALL_ONCE } = options;
  const onSetAside = setAsideBy(log, options.onSetAside ?? (() => undefined));
  const { lanes, close } = await connect(address, { log, poolMax, statementTimeoutMs });
  try {
    await answered(() => migrate(lanes.loops));
  } catch (error) {
    await close();
    throw error;
  }
  const stores = (db: Database) => ({
    ping: () =>
      answered(async () => {
        await sql`select 1`.execute(db);
      }),
    close,
    ...agreementOf(db),
    ...changesOf(db),
    ...vmsOf(db),
    ...recordOf(lanes.bookings),
    ...reservationsOf(db),
    ...workOf(db, onSetAside),
    ...reportsOf(db, missingGraceMs),
    ...orphansOf(db, missingGraceMs),
    ...hostsOf(db, capacity),
    ...hostReportsOf(db, capacity, onSetAside),
    ...fleetWatchOf(db),
    ...hostSettingsOf(db, capacity),
    ...leasesOf(db),
    ...usageStoreOf(db),
    ...drainsOf(db),
    ...movesOf(db),
    ...fencesOf(db),
    ...retireOf(db),
    ...eventsOf(db),
    ...auditOf(db),
    ...tokensOf(db),
    ...waitingOf(db),
    ...idempotencyOf(db),
    ...verifyOf(db),
  });
  return { ...stores(lanes.loops), forRequests: stores(lanes.requests) };
}
