/** The catalogue: what exists, in PostgreSQL. One file per noun; this joins them. */
import { sql } from 'kysely';
import type { CapacityPolicy } from '../model/inventory.js';
import type { Catalogue, Log } from '../model/ports.js';
import type { VerifyStore } from '../model/stores/verify.js';
import { agreementOf } from './agreement.js';
import { auditOf } from './audit.js';
import { connect, type DatabaseAddress } from './connection.js';
import { eventsOf } from './events.js';
import { answered } from './failures.js';
import { hostReportsOf } from './host-reports.js';
import { hostSettingsOf } from './host-settings.js';
import { drainsOf } from './drains.js';
import { hostsOf } from './hosts.js';
import { idempotencyOf } from './idempotency.js';
import { leasesOf } from './leases.js';
import { migrate } from './migrate.js';
import { movesOf } from './moves.js';
import { orphansOf } from './orphans.js';
import { recordOf } from './record.js';
import { reportsOf } from './reports.js';
import { reservationsOf } from './reservations.js';
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
  readonly statementTimeoutMs?: number;
  /** See reports.ts. */
  readonly missingGraceMs?: number;
  /** Of every host, where its operator says nothing else. When absent, all may be booked once. */
  readonly capacity?: CapacityPolicy;
}

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
): Promise<Catalogue & VerifyStore> {
  const { log, poolMax = POOL_MAX, statementTimeoutMs = STATEMENT_TIMEOUT_MS } = options;
  const { missingGraceMs = MISSING_GRACE_MS, capacity = ALL_ONCE } = options;
  const { db, close } = await connect(address, { log, poolMax, statementTimeoutMs });
  try {
    await answered(() => migrate(db));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    ping: () =>
      answered(async () => {
        await sql`select 1`.execute(db);
      }),
    close,
    ...agreementOf(db),
    ...vmsOf(db),
    ...recordOf(db),
    ...reservationsOf(db),
    ...workOf(db),
    ...reportsOf(db, missingGraceMs),
    ...orphansOf(db, missingGraceMs),
    ...hostsOf(db, capacity),
    ...hostReportsOf(db, capacity),
    ...hostSettingsOf(db, capacity),
    ...leasesOf(db),
    ...usageStoreOf(db),
    ...drainsOf(db),
    ...movesOf(db),
    ...retireOf(db),
    ...eventsOf(db),
    ...auditOf(db),
    ...tokensOf(db),
    ...waitingOf(db),
    ...idempotencyOf(db),
    ...verifyOf(db),
  };
}
