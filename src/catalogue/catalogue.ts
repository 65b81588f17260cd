/** The catalogue: what exists, in PostgreSQL. One file per noun; this joins them. */
import { sql } from 'kysely';
import type { Catalogue, Log } from '../model/ports.js';
import { agreementOf } from './agreement.js';
import { connect, type DatabaseAddress } from './connection.js';
import { answered } from './failures.js';
import { hostsOf } from './hosts.js';
import { leasesOf } from './leases.js';
import { migrate } from './migrate.js';
import { recordOf } from './record.js';
import { reportsOf } from './reports.js';
import { vmsOf } from './vms.js';
import { workOf } from './work.js';

export interface CatalogueOptions {
  readonly log: Log;
  readonly poolMax?: number;
  readonly statementTimeoutMs?: number;
  /** See reports.ts. */
  readonly missingGraceMs?: number;
}

const POOL_MAX = 10;
const STATEMENT_TIMEOUT_MS = 5_000;
/** Longer than the polls of a round wait for each other. */
const MISSING_GRACE_MS = 10_000;

/**
 * Opens a database and brings it to the present schema.
 * @throws DomainError `catalogue_unavailable`; Error when an embedded one is in use
 */
export async function openCatalogue(
  address: DatabaseAddress,
  options: CatalogueOptions,
): Promise<Catalogue> {
  const { log, poolMax = POOL_MAX, statementTimeoutMs = STATEMENT_TIMEOUT_MS } = options;
  const { missingGraceMs = MISSING_GRACE_MS } = options;
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
    ...workOf(db),
    ...reportsOf(db, missingGraceMs),
    ...hostsOf(db),
    ...leasesOf(db),
  };
}
