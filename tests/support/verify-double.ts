/** The part of the double of control that is about verify: one finding a host, which a repair mends. */
import type { VerifyReport, VerifyVerbs } from '../../src/control/repair-books.js';
import type { Host } from '../../src/model/host.js';

export function verifyDouble(
  hosts: ReadonlyMap<string, Host>,
  work: () => Promise<void>,
): VerifyVerbs {
  const report = (dryRun: boolean): VerifyReport => ({
    dryRun,
    durationMs: 1,
    hosts: hosts.size,
    bookings: 0,
    unchecked: 0,
    findings: [...hosts.values()].map(({ id, name }) => ({
      code: 'ledger_drift' as const,
      subject: { kind: 'host' as const, id, name },
      detail: 'It differs.',
      expected: {},
      found: { cpu: 1 },
      repairable: true,
      ...(dryRun ? {} : { repaired: true }),
    })),
  });
  return {
    async verify() {
      await work();
      return report(true);
    },
    async repairBooks({ dryRun }) {
      await work();
      return report(dryRun);
    },
  };
}
