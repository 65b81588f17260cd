/** The handlers for operators and their machines: rebuild, probes, metrics. */
import { HOST_STATES } from '../model/host-liveness.js';
import type { Answer, ApiPorts, Call } from './route.js';

export async function rebuildLedger(
  { body, by }: Call<undefined, undefined, { readonly dryRun: boolean }>,
  { control }: ApiPorts,
): Promise<Answer> {
  return { status: 200, json: await control.rebuild(body, by) };
}

/** The process lives; what it depends on is not asked. */
export const live = (): Answer => ({ status: 200, json: { ok: true } });

export async function ready(_call: Call, { control }: ApiPorts): Promise<Answer> {
  const readiness = await control.readiness();
  return { status: readiness.ready ? 200 : 503, json: readiness };
}

export async function showMetrics(
  { log }: Call,
  { metrics, catalogue }: ApiPorts,
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
  return { status: 200, text: await metrics.text(), contentType: metrics.contentType };
}
