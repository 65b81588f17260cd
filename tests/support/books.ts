/** The books of all three keepers, read from where they lie and not through the code under test. */
import { Redis } from 'ioredis';
import pg from 'pg';
import type { Resources } from '../../src/model/resources.js';
import type { Cluster } from './cluster.js';
import { ledgerPrefix } from './ledger-in-place.js';

type Sums = Record<string, Record<string, number>>;

export interface Books {
  /** `used:*` of the host hashes in Redis. */
  readonly ledgerSums: Sums;
  /** Sums of the allocation hashes in Redis. */
  readonly ledgerAllocations: Sums;
  /** What the host rows of the catalogue carry. */
  readonly catalogueSums: Sums;
  /** Sums of the catalogue's allocation rows. */
  readonly catalogueAllocations: Sums;
  /** The same without reservations: what agents have been told of. */
  readonly catalogueVms: Sums;
  /** What the agents hold, by host id. */
  readonly agents: Sums;
  readonly limits: Sums;
}

const CELL = 'main';

export async function readBooks(cluster: Cluster): Promise<Books> {
  const [ledger, catalogue, agents] = await Promise.all([
    readLedger(cluster.redis.url),
    readCatalogue(cluster.databaseUrl),
    readAgents(cluster),
  ]);
  return { ...ledger, ...catalogue, agents };
}

async function readLedger(
  url: string,
): Promise<Pick<Books, 'ledgerSums' | 'ledgerAllocations' | 'limits'>> {
  const redis = new Redis(url);
  try {
    const ledgerSums: Sums = {};
    const limits: Sums = {};
    const ledgerAllocations: Sums = {};
    const prefix = await ledgerPrefix(redis, CELL);
    for (const key of await redis.keys(`${prefix}host:*`)) {
      const id = key.slice(`${prefix}host:`.length);
      const fields = Object.entries(await redis.hgetall(key));
      ledgerSums[id] = amounts(fields, 'used:');
      limits[id] = amounts(fields, 'limit:');
    }
    for (const key of await redis.keys(`${prefix}vm:*`)) {
      const { host = '', amounts: json = '{}' } = await redis.hgetall(key);
      add(ledgerAllocations, host, JSON.parse(json) as Record<string, unknown>);
    }
    return { ledgerSums: tidy(ledgerSums), ledgerAllocations: tidy(ledgerAllocations), limits };
  } finally {
    redis.disconnect();
  }
}

async function readCatalogue(
  connectionString: string,
): Promise<Pick<Books, 'catalogueSums' | 'catalogueAllocations' | 'catalogueVms'>> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const catalogueSums: Sums = {};
    const catalogueAllocations: Sums = {};
    const catalogueVms: Sums = {};
    const hosts = await client.query<{ id: string; allocated: Resources }>(
      'select id, allocated from hosts',
    );
    for (const { id, allocated } of hosts.rows) add(catalogueSums, id, allocated);
    const rows = await client.query<{
      host_id: string;
      vm_id: string | null;
      resources: Resources;
    }>('select host_id, vm_id, resources from allocations');
    for (const { host_id, vm_id, resources } of rows.rows) {
      add(catalogueAllocations, host_id, resources);
      if (vm_id !== null) add(catalogueVms, host_id, resources);
    }
    return {
      catalogueSums: tidy(catalogueSums),
      catalogueAllocations: tidy(catalogueAllocations),
      catalogueVms: tidy(catalogueVms),
    };
  } finally {
    await client.end();
  }
}

async function readAgents(cluster: Cluster): Promise<Sums> {
  const sums: Sums = {};
  for (const host of cluster.hosts) {
    const response = await fetch(`${host.address}/v1/vms`, {
      headers: { authorization: `Bearer ${host.credential}` },
    });
    const { items } = (await response.json()) as { items: { resources: Resources }[] };
    for (const { resources } of items) add(sums, host.hostId, resources);
  }
  return tidy(sums);
}

function amounts(fields: [string, string][], prefix: string): Record<string, number> {
  return Object.fromEntries(
    fields
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, value]) => [name.slice(prefix.length), Number(value)]),
  );
}

function add(sums: Sums, hostId: string, resources: Readonly<Record<string, unknown>>): void {
  const sum = (sums[hostId] ??= {});
  for (const [name, amount] of Object.entries(resources)) {
    sum[name] = (sum[name] ?? 0) + Number(amount);
  }
}

/** Sorted, without zeros and empty hosts, so that keepers compare by what is booked. */
function tidy(sums: Sums): Sums {
  const sorted = <T>(entries: [string, T][]) => entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    sorted(
      Object.entries(sums)
        .map(([id, sum]): [string, Record<string, number>] => [
          id,
          Object.fromEntries(sorted(Object.entries(sum).filter(([, amount]) => amount !== 0))),
        ])
        .filter(([, sum]) => Object.keys(sum).length > 0),
    ),
  );
}

/** All keepers agree, and nobody is over a limit. @returns what is wrong; empty when nothing is */
export function disagreements(books: Books): string[] {
  const reference = JSON.stringify(books.catalogueAllocations);
  const wrong = (['ledgerSums', 'ledgerAllocations', 'catalogueSums'] as const).flatMap(
    (keeper) => {
      const said = JSON.stringify(books[keeper]);
      return said === reference ? [] : [`${keeper} says ${said}, allocations say ${reference}`];
    },
  );
  const [agents, vms] = [JSON.stringify(books.agents), JSON.stringify(books.catalogueVms)];
  if (agents !== vms) wrong.push(`agents say ${agents}, allocations of VMs say ${vms}`);
  for (const [id, sum] of Object.entries(books.catalogueAllocations)) {
    for (const [name, amount] of Object.entries(sum)) {
      const limit = books.limits[id]?.[name] ?? 0;
      if (amount > limit)
        wrong.push(`${id} has ${amount.toString()} ${name} over ${limit.toString()}`);
    }
  }
  return wrong;
}
