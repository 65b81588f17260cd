/** The handlers of `/v1/hosts`, and how a host is shown. */
import type { z } from 'zod';
import { DomainError, invariant } from '../model/errors.js';
import { bookableOf, isOverFull, type Host, type HostPatch } from '../model/host.js';
import { capacityOf, isUnknown, type InventoryEntry } from '../model/inventory.js';
import { unitOf } from '../model/resources.js';
import type { JoinTicket } from '../model/token.js';
import type { pageQuerySchema } from '../wire/fields.js';
import type { AgentStatusBody } from '../wire/agent.js';
import type { FenceHostBody, HostBody, JoinHostBody, PatchHostBody } from '../wire/hosts.js';
import type { Principal } from './principal.js';
import type { Answer, ApiPorts, Call } from './route.js';

/** Where a host is that does not say. */
const DEFAULT_ZONE = 'default';

interface HostParams {
  readonly host: string;
}

/** 200 for the first join as for the tenth: joining again is the normal case. */
export async function joinHost(
  { body, by, principal }: Call<undefined, undefined, JoinHostBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  const ticket = ticketOf(principal);
  const { agent, zone = DEFAULT_ZONE, labels = {}, ...rest } = body;
  const { version, bootId } = agent;
  const host = await control.joinHost({ ...rest, ticket, zone, labels, version, bootId }, by);
  return { status: 200, json: hostBody(host) };
}

/** On whose word the machine joins. The guard lets nobody else come here. */
function ticketOf({ who, actor, hostId }: Principal): JoinTicket {
  if (hostId !== null) return { by: 'host', hostId };
  if (who === 'join') return { by: 'token', tokenId: actor.id };
  invariant(who === 'admin', 'only admins, join tokens and hosts may join hosts');
  return { by: 'admin' };
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
  { params, body, by }: Call<HostParams, undefined, PatchHostBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  const { mode, reason = null, owner = null, expiresInS, ...overrides } = body;
  const endsInMs = expiresInS === undefined ? null : expiresInS * 1_000;
  // An enabled host has no reason to be as it is.
  const why = mode === 'enabled' ? { reason: null, owner: null } : { reason, owner };
  const patch: HostPatch = {
    ...(mode === undefined ? {} : { mode: { mode, ...why, endsInMs } }),
    ...(Object.keys(overrides).length === 0 ? {} : { overrides }),
  };
  const host = await control.patchHost(params.host, patch, by);
  return { status: 200, json: hostBody(host) };
}

export async function fenceHost(
  { params, body, by }: Call<HostParams, undefined, FenceHostBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  return { status: 200, json: hostBody(await control.fenceHost(params.host, body.reason, by)) };
}

/** An agent says by itself how it is; the guard lets it in only for its own host. */
export async function acceptStatus(
  { params, body, principal }: Call<HostParams, undefined, AgentStatusBody>,
  { control }: ApiPorts,
): Promise<Answer> {
  if (principal.hostId !== body.hostId || params.host !== body.hostId) {
    throw new DomainError('forbidden', 'An agent speaks for its own host only.');
  }
  await control.acceptStatus(body);
  return { status: 202, json: {} };
}

/** What is still booked of a class that the machine no longer has must not vanish from sight. */
const GONE: InventoryEntry = { total: 0, reserved: 0, overcommit: 1, source: 'detected' };

const UNKNOWN_AMOUNTS = { total: null, capacity: null, limit: null, available: null };

/** A host as callers see it; the agent's credential is not among it. */
export function hostBody(host: Host): HostBody {
  const limits = bookableOf(host);
  const classes = new Set([...Object.keys(host.inventory), ...Object.keys(host.allocated)]);
  const resources = [...classes].map((resource) => {
    const entry = host.inventory[resource] ?? GONE;
    const limit = limits[resource] ?? 0;
    const { total, reserved, overcommit, source } = entry;
    const allocated = host.allocated[resource] ?? 0;
    const amounts = {
      total,
      capacity: capacityOf(entry),
      limit,
      available: Math.max(0, limit - allocated),
    };
    const body = {
      ...(isUnknown(entry) ? UNKNOWN_AMOUNTS : amounts),
      ...{ reserved, overcommit, allocated, source },
      orphaned: host.orphaned[resource] ?? 0,
      used: host.used[resource] ?? null,
      unit: unitOf(resource),
    };
    return [resource, body] as const;
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
    modeOwner: host.modeOwner,
    modeUntil: host.modeUntil === null ? null : host.modeUntil.toISOString(),
    fence:
      host.fence === null
        ? null
        : { at: host.fence.at.toISOString(), reason: host.fence.reason, by: host.fence.by },
    overrides: host.overrides,
    overFull: isOverFull(limits, host.allocated),
    resources: Object.fromEntries(resources),
    vms: host.vms,
    lastSeenAt: host.lastSeenAt === null ? null : host.lastSeenAt.toISOString(),
    agent: { version: host.agent.version, bootId: host.agent.bootId },
    notEnforced: [...host.notEnforced],
    createdAt: host.createdAt.toISOString(),
  };
}
