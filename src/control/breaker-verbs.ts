/** What operators ask and say of the breaker of the fleet. */
import type { BreakerRule } from '../model/fleet-breaker.js';
import type { FleetWatch } from '../model/stores/fleet-watch.js';
import type { Caller } from './caller.js';
import type { Ports } from './ports.js';

/** The watch, with what it goes by. */
export interface BreakerView extends FleetWatch {
  readonly rule: BreakerRule;
}

export interface BreakerVerbs {
  breaker(): Promise<BreakerView>;
  /**
   * What is missing is really lost: Berth goes on as if each host had begun to miss polls now.
   * @throws DomainError `state_conflict` when the breaker is closed
   */
  closeBreaker(reason: string, by: Caller): Promise<BreakerView>;
}

export const breakerVerbs = (
  { catalogue, telemetry }: Pick<Ports, 'catalogue' | 'telemetry'>,
  { share, hostsMin, windowMs }: BreakerRule,
): BreakerVerbs => {
  const rule = { share, hostsMin, windowMs };
  return {
    breaker: async () => ({ ...(await catalogue.fleetWatch()), rule }),
    async closeBreaker(reason, { actor, log }) {
      const watch = await catalogue.closeBreaker(reason, actor);
      telemetry.count('berth_breaker_changes_total', { to: 'closed' });
      log.warn('the breaker is closed by word', { reason });
      return { ...watch, rule };
    },
  };
};
