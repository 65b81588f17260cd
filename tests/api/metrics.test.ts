/** What is counted, and that nothing is counted under a name that nobody declared. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { createMetrics, METRICS } from '../../src/api/metrics.js';
import { startApi } from '../support/api-server.js';

const root = new URL('../..', import.meta.url).pathname;

describe('metrics', () => {
  it('are shown as Prometheus reads them', async () => {
    const metrics = createMetrics();
    metrics.count('berth_placements_total', { outcome: 'placed' });
    metrics.count('berth_placements_total', { outcome: 'placed' }, 2);
    metrics.observe('berth_stage_seconds', 0.002, { stage: 'book' });
    const text = await metrics.text();
    expect(text).toContain('berth_placements_total{outcome="placed"} 3\n');
    expect(text).toContain('berth_stage_seconds_bucket{le="0.0025",stage="book"} 1\n');
    expect(text).toContain('berth_stage_seconds_sum{stage="book"} 0.002\n');
    expect(text).toContain('process_resident_memory_bytes');
  });

  it('that nobody declared are refused, as are labels', () => {
    const metrics = createMetrics();
    expect(() => {
      metrics.count('berth_placement_total');
    }).toThrow('no counter');
    expect(() => {
      metrics.observe('berth_placements_total', 1);
    }).toThrow('no histogram');
    expect(() => {
      metrics.count('berth_placements_total', { colour: 'red' });
    }).toThrow('colour');
  });

  it('of two control planes do not mix', async () => {
    const [one, other] = [createMetrics(), createMetrics()];
    one.count('berth_placements_total', { outcome: 'placed' });
    expect(await other.text()).not.toContain('outcome="placed"');
  });

  it('are all declared that any part of Berth counts, and the reverse', () => {
    const used = new Set<string>();
    for (const file of readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts') || file === join('api', 'metrics.ts')) continue;
      const text = readFileSync(join(root, 'src', file), 'utf8');
      const calls = text.matchAll(/\.(?:count|observe)\(\s*'(berth_\w+)'/g);
      for (const [, name = ''] of calls) used.add(name);
    }
    expect([...used].sort()).toEqual(Object.keys(METRICS).sort());
  });

  it('are all explained in docs/operating.md', () => {
    const page = readFileSync(join(root, 'docs/operating.md'), 'utf8');
    for (const name of Object.keys(METRICS)) expect(page).toContain(`\`${name}\``);
  });

  it('count requests by route, never by the path that was asked for', async () => {
    const server = await startApi();
    await server.call('/v1/vms/vm-1');
    await server.call('/v1/vms/vm-2');
    await server.call('/no/such/path');
    const { text } = await server.call('/metrics');
    expect(text).toContain(
      'berth_http_requests_total{method="GET",route="/v1/vms/:id",status="404"} 2\n',
    );
    expect(text).toContain('route="(none)",status="404"} 1\n');
    expect(text).not.toContain('vm-1');
    await server.api.close();
  });
});
