/** The handlers of `/v1/usage`. */
import type { z } from 'zod';
import { DomainError } from '../model/errors.js';
import { unitOf } from '../model/resources.js';
import {
  sumUsage,
  usageByZone,
  type ClassUsage,
  type UsageSample,
  type UsageScope,
} from '../model/usage.js';
import type { usageHistoryQuerySchema, usageQuerySchema } from '../wire/usage.js';
import type { Answer, ApiPorts, CatalogueReader, Call } from './route.js';

export async function showUsage(
  { query: { by } }: Call<undefined, z.infer<typeof usageQuerySchema>>,
  { catalogue }: ApiPorts,
): Promise<Answer> {
  const hosts = await catalogue.usage();
  const zones = usageByZone(hosts).map((zone) => ({ ...zone, resources: shown(zone.resources) }));
  return {
    status: 200,
    json: {
      at: new Date().toISOString(),
      total: shown(sumUsage(hosts.map(({ resources }) => resources))),
      ...(by === 'host' ? {} : { zones }),
      ...(by === 'zone'
        ? {}
        : { hosts: hosts.map((host) => ({ ...host, resources: shown(host.resources) })) }),
    },
  };
}

const DAY_MS = 24 * 60 * 60 * 1_000;

export async function showUsageHistory(
  { query }: Call<undefined, z.infer<typeof usageHistoryQuerySchema>>,
  { catalogue }: ApiPorts,
): Promise<Answer> {
  const { scope, step, limit, cursor = null } = query;
  const to = query.to === undefined ? new Date() : new Date(query.to);
  const from = query.from === undefined ? new Date(to.getTime() - DAY_MS) : new Date(query.from);
  const id = await idIn(scope, query.id, catalogue);
  const page = await catalogue.usageHistory({ scope, id, step, from, to, limit, cursor });
  return { status: 200, json: { items: page.items.map(sampleBody), nextCursor: page.nextCursor } };
}

/** @throws DomainError `invalid_request`; `not_found` when there is no such host */
async function idIn(
  scope: UsageScope,
  id: string | undefined,
  catalogue: CatalogueReader,
): Promise<string> {
  if ((scope === 'total') !== (id === undefined)) {
    const message =
      scope === 'total' ? 'goes only with scope=zone or scope=host' : `must name the ${scope}`;
    throw new DomainError('invalid_request', 'Scope and id do not go together.', {
      errors: [{ field: 'id', message }],
    });
  }
  if (id === undefined) return '';
  if (scope === 'zone') return id;
  const host = await catalogue.host(id);
  if (host === null) throw new DomainError('not_found', `There is no host ${id}.`);
  return host.id;
}

const sampleBody = ({ at, resources }: UsageSample) => ({
  at: at.toISOString(),
  resources: shown(resources),
});

const shown = <Amounts extends ClassUsage>(resources: Readonly<Record<string, Amounts>>) =>
  Object.fromEntries(
    Object.entries(resources).map(([resource, amounts]) => [
      resource,
      { ...amounts, unit: unitOf(resource) },
    ]),
  );
