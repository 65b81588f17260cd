/** What the catalogue must do on every database that it runs on; each part is a file of its own. */
import { afterAll, beforeAll, describe } from '@jest/globals';
import type { Catalogue } from '../../src/model/ports.js';
import { describeChanges } from './changes-contract.js';
import { describeDrains } from './drains-contract.js';
import { describeEvents } from './events-contract.js';
import { describeFences } from './fences-contract.js';
import { describeHostSettings } from './host-settings-contract.js';
import { describeFleetWatch } from './fleet-watch-contract.js';
import { describeHosts } from './hosts-contract.js';
import { describeIdempotency } from './idempotency-contract.js';
import { describeLeases } from './leases-contract.js';
import { describeOrphans } from './orphans-contract.js';
import { describeRecord } from './record-contract.js';
import { describeRecordRules } from './record-rules-contract.js';
import { describeReports } from './reports-contract.js';
import { describeReservations } from './reservations-contract.js';
import { describeTokens } from './tokens-contract.js';
import { describeUsage } from './usage-contract.js';
import { describeVms } from './vms-contract.js';
import { describeWaiting } from './waiting-contract.js';
import { describeWork } from './work-contract.js';

export interface CatalogueUnderTest {
  /** Of an empty database, opened with `missingGraceMs: 0`. */
  readonly catalogue: Catalogue;
  close(): Promise<void>;
}

/** Answers the catalogue under test; to be called while a test runs. */
export type Subject = () => Catalogue;

/** @param openLimitMs how long opening may take */
export function describeCatalogue(
  name: string,
  factory: () => Promise<CatalogueUnderTest>,
  openLimitMs: number,
): void {
  describe(`contract of the catalogue: ${name}`, () => {
    let under: CatalogueUnderTest;
    beforeAll(async () => {
      under = await factory();
    }, openLimitMs);
    afterAll(() => under.close());

    const subject: Subject = () => under.catalogue;
    describeRecord(subject);
    describeRecordRules(subject);
    describeReservations(subject);
    describeDrains(subject);
    describeFences(subject);
    describeWork(subject);
    describeReports(subject);
    describeOrphans(subject);
    describeVms(subject);
    describeHosts(subject);
    describeHostSettings(subject);
    describeUsage(subject);
    describeLeases(subject);
    describe('tokens and joining', () => {
      describeTokens(subject);
    });
    describeChanges(subject);
    describeEvents(subject);
    describeWaiting(subject);
    describeIdempotency(subject);
    // The last: it empties the fleet.
    describeFleetWatch(subject);
  });
}
