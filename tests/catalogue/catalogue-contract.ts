/** What the catalogue must do on every database that it runs on; each part is a file of its own. */
import { afterAll, beforeAll, describe } from '@jest/globals';
import type { Catalogue } from '../../src/model/ports.js';
import { describeHosts } from './hosts-contract.js';
import { describeLeases } from './leases-contract.js';
import { describeRecord } from './record-contract.js';
import { describeReports } from './reports-contract.js';
import { describeVms } from './vms-contract.js';
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
    describeWork(subject);
    describeReports(subject);
    describeVms(subject);
    describeHosts(subject);
    describeLeases(subject);
  });
}
