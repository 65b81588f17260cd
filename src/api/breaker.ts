/** The handlers of `/v1/ops/breaker`: whether Berth takes itself to be cut off. */
import type { BreakerView } from '../control/breaker-verbs.js';
import type { BreakerBody } from '../wire/breaker.js';
import type { Answer, ApiPorts, Call } from './route.js';

export async function showBreaker(_call: Call, { control }: ApiPorts): Promise<Answer> {
  return { status: 200, json: bodyOf(await control.breaker()) };
}

export async function closeBreaker(
  { body, by }: Call<undefined, undefined, { readonly reason: string }>,
  { control }: ApiPorts,
): Promise<Answer> {
  return { status: 200, json: bodyOf(await control.closeBreaker(body.reason, by)) };
}

const bodyOf = (view: BreakerView): BreakerBody => {
  const { isOpen, since, reason, hosts, missing, graceUntil, lookedAt, rule } = view;
  return {
    state: isOpen ? 'open' : 'closed',
    since: since?.toISOString() ?? null,
    reason,
    hosts,
    missing,
    share: hosts === 0 ? 0 : missing / hosts,
    graceUntil: graceUntil?.toISOString() ?? null,
    lookedAt: lookedAt?.toISOString() ?? null,
    opensAbove: {
      share: rule.share,
      hostsMin: rule.hostsMin,
      windowS: rule.windowMs / 1_000,
    },
  };
};
