/** The handlers for operators and their machines: rebuild, probes, metrics. */
import type { Answer, ApiPorts, Call } from './route.js';

export async function rebuildLedger(
  { body, log }: Call<undefined, undefined, { readonly dryRun: boolean }>,
  { control }: ApiPorts,
): Promise<Answer> {
  return { status: 200, json: await control.rebuild(body, log) };
}

/** The process lives; what it depends on is not asked. */
export const live = (): Answer => ({ status: 200, json: { ok: true } });

export async function ready(_call: Call, { control }: ApiPorts): Promise<Answer> {
  const readiness = await control.readiness();
  return { status: readiness.ready ? 200 : 503, json: readiness };
}

export async function showMetrics(_call: Call, { metrics }: ApiPorts): Promise<Answer> {
  return { status: 200, text: await metrics.text(), contentType: metrics.contentType };
}
