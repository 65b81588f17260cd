/** The handlers of `/v1/hosts`, and how a host is shown. */
import type { z } from 'zod';
import { DomainError } from '../model/errors.js';
import type { Host } from '../model/host.js';
import { capacityOf, limitOf, type InventoryEntry } from '../model/inventory.js';
import { unitOf } from '../model/resources.js';
import type { pageQuerySchema } from '../wire/fields.js';
import type { HostBody, JoinHostBody, PatchHostBody } from '../wire/hosts.js';
import type { Answer, ApiPorts, Call } from './route.js';

/** Where a host is that does not say. */
const DEFAULT_ZONE = 'default';

interface HostParams {
  readonly host: string;
}

/** 200 for the first join as for the tenth: joining again is the normal case. */
export async function joinHost(
  { body, log }: Call<undefined, undefined, JoinHostBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  const { agent, zone = DEFAULT_ZONE, labels = {}, ...rest } = body;
  const { version, bootId } = agent;
  const host = await control.joinHost({ ...rest, zone, labels, version, bootId }, log);
  return { status: 200, json: hostBody(host) };
}

export async function listHosts(
  { query }: Call<undefined, z.infer<typeof pageQuerySchema>>,
  { catalogue }: ApiPorts,
): Promise<Answer> {
  const { limit, cursor = null } = query;
  const page = await catalogue.hosts({ limit, cursor });
  return {
    status: 200,
    json: { items: page.items.map(hostBody), nextCursor: page.nextCursor },
  };
}

export async function getHost(
  { params }: Call<HostParams>,
  { catalogue }: ApiPorts,
): Promise<Answer> {
  const host = await catalogue.host(params.host);
  if (host === null) throw new DomainError('not_found', `There is no host ${params.host}.`);
  return { status: 200, json: hostBody(host) };
}

export async function patchHost(
  { params, body, log }: Call<HostParams, undefined, PatchHostBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  // An enabled host has no reason to be as it is.
  const reason = body.mode === 'enabled' ? null : (body.reason ?? null);
  const host = await control.setHostMode(params.host, body.mode, reason, log);
  return { status: 200, json: hostBody(host) };
}

/** What is still booked of a class that the machine no longer has must not vanish from sight. */
const GONE: InventoryEntry = { total: 0, reserved: 0, overcommit: 1, source: 'detected' };

/** A host as callers see it; the agent's credential is not among it. */
export function hostBody(host: Host): HostBody {
  const classes = new Set([...Object.keys(host.inventory), ...Object.keys(host.allocated)]);
  const resources = [...classes].map((resource) => {
    const entry = host.inventory[resource] ?? GONE;
    const limit = limitOf(entry);
    const allocated = host.allocated[resource] ?? 0;
    const available = Math.max(0, limit - allocated);
    const { total, reserved, overcommit, source } = entry;
    const capacity = capacityOf(entry);
    const unit = unitOf(resource);
    const body = { total, reserved, overcommit, capacity, limit, allocated, available, source };
    return [resource, { ...body, unit }] as const;
  });
  return {
    id: host.id,
    name: host.name,
    address: host.address,
    zone: host.zone,
    labels: { ...host.labels },
    state: host.state,
    mode: host.mode,
    modeReason: host.modeReason,
    resources: Object.fromEntries(resources),
    vms: host.vms,
    lastSeenAt: host.lastSeenAt === null ? null : host.lastSeenAt.toISOString(),
    agent: { version: host.agent.version, bootId: host.agent.bootId },
    createdAt: host.createdAt.toISOString(),
  };
}
