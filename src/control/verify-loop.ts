/**
 * Verifies the books every few minutes, on one replica at a time, so that drift is a metric and not
 * only an answer. It tells and changes nothing.
 */
import type { Catalogue } from '../model/ports.js';
import { Loop } from './loop.js';
import type { VerifyVerbs } from './repair-books.js';
import { observeDrift, type VerifyPorts } from './verify.js';

const LEASE = 'verify';
const PERIOD_MS = 300_000;

/** Longer than some periods, so that it stays with one replica while that lives. */
const LEASE_MS = 3 * PERIOD_MS;

export interface VerifyLoopParts {
  readonly ports: VerifyPorts & { readonly catalogue: Pick<Catalogue, 'acquireLease'> };
  readonly verbs: Pick<VerifyVerbs, 'verify'>;
  readonly replicaId: string;
}

/** Made to be started when the control plane runs; its first look is at once. */
export function createVerifyLoop({ ports, verbs, replicaId }: VerifyLoopParts): Loop {
  const { catalogue, clock, log, telemetry } = ports;
  return new Loop({
    clock,
    tickMs: PERIOD_MS,
    async look() {
      if (!(await catalogue.acquireLease(LEASE, replicaId, LEASE_MS))) {
        // Another replica shows it; what this one once found must not stand beside that for ever.
        observeDrift(telemetry, []);
        return false;
      }
      const { findings } = await verbs.verify();
      if (findings.length > 0) {
        log.warn('the books are not right: see berth verify', { findings: findings.length });
      }
      return false;
    },
    onFailure: (error) => {
      log.debug('verify comes back later', { error });
    },
  });
}
