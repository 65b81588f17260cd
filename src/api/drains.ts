/** The handlers that take a host out: drain, and retirement. */
import type { DecisionSummary, HostRef } from '../model/decision.js';
import { DomainError } from '../model/errors.js';
import type { Drain } from '../model/drain.js';
import type { DrainBody, DrainMoveBody, DrainRequestBody, RetireQuery } from '../wire/drains.js';
import { hostBody } from './hosts.js';
import type { Answer, ApiPorts, Call } from './route.js';

interface HostParams {
  readonly host: string;
}

/** 202 for what goes on in the background, 200 for a plan that nobody follows. */
export async function drainHost(
  { params, body, by }: Call<HostParams, undefined, DrainRequestBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  const { dryRun, reason = null, owner = null } = body;
  const drain = await control.drainHost(params.host, { dryRun, reason, owner }, by);
  return { status: dryRun ? 200 : 202, json: drainBody(drain) };
}

export async function getDrain(
  { params }: Call<HostParams>,
  { catalogue }: ApiPorts,
): Promise<Answer> {
  const host = await catalogue.host(params.host);
  if (host === null) throw new DomainError('not_found', `There is no host ${params.host}.`);
  const drain = await catalogue.drain(host.id);
  if (drain === null) {
    throw new DomainError('not_found', `Host ${host.name} has not been drained.`);
  }
  return { status: 200, json: drainBody(drain) };
}

export async function cancelDrain(
  { params, by }: Call<HostParams>,
  { control }: ApiPorts,
): Promise<Answer> {
  return { status: 200, json: drainBody(await control.cancelDrain(params.host, by)) };
}

export async function retireHost(
  { params, query, by }: Call<HostParams, RetireQuery>,
  { control }: ApiPorts,
): Promise<Answer> {
  const { reason } = query;
  const force = reason === undefined ? null : { reason };
  return { status: 200, json: hostBody(await control.retireHost(params.host, force, by)) };
}

const drainBody = (drain: Drain): DrainBody => ({
  host: refBody(drain.host),
  state: drain.state,
  reason: drain.reason,
  owner: drain.owner,
  startedAt: drain.startedAt.toISOString(),
  endedAt: drain.endedAt?.toISOString() ?? null,
  moves: drain.moves.map(({ vm, state, planned, target, detail, summary }): DrainMoveBody => ({
    vm: refBody(vm),
    state,
    planned: planned === null ? null : refBody(planned),
    target: target === null ? null : refBody(target),
    detail,
    summary: summary === null ? null : summaryBody(summary),
  })),
});

const refBody = ({ id, name }: HostRef) => ({ id, name });

const summaryBody = ({ considered, feasible, byReason, nearest }: DecisionSummary) => ({
  considered,
  feasible,
  byReason: { ...byReason },
  nearest: nearest === null ? null : { host: refBody(nearest.host), missing: nearest.missing },
});
