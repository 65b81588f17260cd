/** The handlers for operators and their machines: rebuild, probes, metrics. */
import { HOST_STATES } from '../model/host-liveness.js';
import type { ReadinessBody } from '../wire/ops.js';
import type { Answer, ApiPorts, Call } from './route.js';

export async function rebuildLedger(
  { body, by }: Call<undefined, undefined, { readonly dryRun: boolean }>,
  { control }: ApiPorts,
): Promise<Answer> {
  return { status: 200, json: await control.rebuild(body, by) };
}

/** The process lives; what it depends on is not asked. */
export const live = (): Answer => ({ status: 200, json: { ok: true } });

/** What is missing of the fleet takes no replica out of service: others would see the same. */
export async function ready(_call: Call, { control }: ApiPorts): Promise<Answer> {
  const [{ ready: isReady, dependencies }, fleet] = await Promise.all([
    control.readiness(),
    fleetReadiness(control),
  ]);
  const json: ReadinessBody = { ready: isReady, dependencies: { ...dependencies, fleet } };
  return { status: isReady ? 200 : 503, json };
}

const fleetReadiness = (
  control: ApiPorts['control'],
): Promise<ReadinessBody['dependencies']['fleet']> =>
  control.breaker().then(
    ({ isOpen, graceUntil }) => {
      if (isOpen) return { state: 'breaker_open', detail: BREAKER_OPEN };
      return { state: 'ready', detail: graceUntil === null ? null : IN_GRACE };
    },
    () => ({ state: 'unknown', detail: null }),
  );

/** Read by anybody: how many hosts there are is not in it. */
const BREAKER_OPEN =
  'So many hosts are missing that Berth takes itself to be cut off; see GET /v1/ops/breaker';
const IN_GRACE = 'Hosts were not looked at for a while; those that miss polls are spared';

export async function showMetrics(
  { log }: Call,
  { metrics, catalogue, control }: ApiPorts,
): Promise<Answer> {
  // Counted for whoever looks. Without a catalogue, the rest is all the more worth seeing.
  await catalogue.fleetCounts().then(
    ({ hosts, amounts }) => {
      for (const state of HOST_STATES) {
        const count = hosts.find((found) => found.state === state)?.count ?? 0;
        metrics.observe('berth_hosts', count, { state });
      }
      for (const { resource, kind, amount } of amounts) {
        metrics.observe('berth_capacity', amount, { class: resource, kind });
      }
    },
    (error: unknown) => {
      log.debug('hosts are not counted', { error });
    },
  );
  await control.breaker().then(
    ({ isOpen }) => {
      metrics.observe('berth_breaker_open', isOpen ? 1 : 0);
    },
    (error: unknown) => {
      // What it was when somebody looked last is no answer.
      metrics.observe('berth_breaker_open', NaN);
      log.debug('the breaker is not known', { error });
    },
  );
  return { status: 200, text: await metrics.text(), contentType: metrics.contentType };
}
