/** Lists that the API hands out page by page, gathered. */
import type { Client, Query } from './client.js';
import type { Schema } from './understood.js';

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

/** Largest page that the API gives. */
const PAGE_ITEMS_MAX = 100;

/**
 * Follows the cursors of a list.
 * @param limit most items; all of them when absent
 */
export async function gather<Item>(
  client: Client,
  path: string,
  schema: Schema<Page<Item>>,
  query: Query = {},
  limit = Infinity,
): Promise<Page<Item>> {
  const items: Item[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<Item> = await client.call('GET', path, schema, {
      query: {
        ...query,
        limit: Math.min(PAGE_ITEMS_MAX, limit - items.length),
        cursor: cursor ?? undefined,
      },
    });
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null && items.length < limit);
  return { items, nextCursor: cursor };
}
