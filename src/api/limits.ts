/**
 * How often somebody may ask. Counted per replica: the limits are against mistakes and floods, not
 * for billing. What is refused is told when to come again.
 */
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { DomainError } from '../model/errors.js';
import { ADMIN } from './auth.js';
import type { Principal } from './principal.js';

export interface LimitSettings {
  readonly ratePerTokenPerS: number;
  /** Of all tokens of one tenant together. */
  readonly ratePerTenantPerS: number;
  /** Wrong tokens from one address. */
  readonly failedAuthPerMinute: number;
}

export const DEFAULT_LIMITS: LimitSettings = {
  ratePerTokenPerS: 2_000,
  ratePerTenantPerS: 100,
  failedAuthPerMinute: 60,
};

/** The configured token may ask so much more: with it a fleet is set up, and everything repaired. */
const ADMIN_FACTOR = 10;

export interface Limits {
  /** @throws DomainError `rate_limited` when this caller asks too often */
  admit(principal: Principal): Promise<void>;
  /** @throws DomainError `rate_limited` when this address has shown wrong tokens too often */
  mayTry(address: string): Promise<void>;
  /**
   * Counts a wrong token.
   * @throws DomainError `rate_limited` for those beyond the limit that came at once
   */
  failed(address: string): Promise<void>;
}

export function createLimits(settings: LimitSettings): Limits {
  const perSecond = (points: number) => new RateLimiterMemory({ points, duration: 1 });
  const tokens = perSecond(settings.ratePerTokenPerS);
  const tenants = perSecond(settings.ratePerTenantPerS);
  const admin = perSecond(settings.ratePerTokenPerS * ADMIN_FACTOR);
  const failures = new RateLimiterMemory({ points: settings.failedAuthPerMinute, duration: 60 });

  return {
    async admit({ who, path, actor }) {
      const limiter = who === 'tenant' ? tenants : actor === ADMIN.actor ? admin : tokens;
      const key = who === 'tenant' ? (path ?? '') : `${actor.kind} ${actor.id}`;
      const refusal = await refusalOf(limiter.consume(key));
      if (refusal !== null) throw tooMany('This token asks too often.', refusal);
    },
    async mayTry(address) {
      const found = await failures.get(address);
      if (found === null || found.consumedPoints < settings.failedAuthPerMinute) return;
      throw tooMany(TOO_MANY_WRONG, found);
    },
    async failed(address) {
      const refusal = await refusalOf(failures.consume(address));
      if (refusal !== null) throw tooMany(TOO_MANY_WRONG, refusal);
    },
  };
}

/** The limiter rejects with how it stands when there is nothing left. */
async function refusalOf(consumed: Promise<RateLimiterRes>): Promise<RateLimiterRes | null> {
  try {
    await consumed;
    return null;
  } catch (refusal) {
    if (refusal instanceof RateLimiterRes) return refusal;
    throw refusal;
  }
}

const TOO_MANY_WRONG = 'Too many wrong tokens came from this address.';

const tooMany = (message: string, { msBeforeNext }: RateLimiterRes): DomainError =>
  new DomainError('rate_limited', message, {
    retryAfterS: Math.max(1, Math.ceil(msBeforeNext / 1000)),
  });
