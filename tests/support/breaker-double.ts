/** The part of the double of control that is about the breaker: open until somebody closes it. */
import type { BreakerVerbs, BreakerView } from '../../src/control/breaker-verbs.js';
import { DomainError } from '../../src/model/errors.js';

export function breakerDouble(work: () => Promise<void>): BreakerVerbs {
  let view: BreakerView = {
    isOpen: true,
    since: new Date('2026-11-21T10:00:00.000Z'),
    reason: '6 of 10 hosts went missing at once',
    hosts: 10,
    missing: 6,
    graceUntil: null,
    lookedAt: new Date('2026-11-21T10:00:30.000Z'),
    rule: { share: 0.3, hostsMin: 3, windowMs: 90_000 },
  };
  return {
    async breaker() {
      await work();
      return view;
    },
    async closeBreaker(reason) {
      await work();
      if (!view.isOpen) throw new DomainError('state_conflict', 'The breaker is closed already.');
      view = { ...view, isOpen: false, reason };
      return view;
    },
  };
}
