/**
 * What Berth counts and times, for Prometheus. This table is the only place where metrics are
 * declared: counting under another name is a mistake in the code and throws.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Telemetry } from '../model/ports.js';

interface CounterDeclaration {
  readonly kind: 'counter';
  readonly help: string;
  readonly labels: readonly string[];
}

/** The value that was observed last. */
interface GaugeDeclaration {
  readonly kind: 'gauge';
  readonly help: string;
  readonly labels: readonly string[];
}

interface HistogramDeclaration {
  readonly kind: 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  readonly buckets: readonly number[];
}

/** Seconds; from a warm read to the longest wait. */
const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300];
const STAGE_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2];

const counter = (help: string, ...labels: string[]): CounterDeclaration => ({
  kind: 'counter',
  help,
  labels,
});

const gauge = (help: string, ...labels: string[]): GaugeDeclaration => ({
  kind: 'gauge',
  help,
  labels,
});

const histogram = (
  help: string,
  buckets: readonly number[],
  ...labels: string[]
): HistogramDeclaration => ({ kind: 'histogram', help, labels, buckets });

export const METRICS: Readonly<
  Record<string, CounterDeclaration | GaugeDeclaration | HistogramDeclaration>
> = {
  berth_http_requests_total: counter('HTTP requests answered', 'method', 'route', 'status'),
  berth_http_request_seconds: histogram(
    'Time from the first byte of a request to the end of its answer',
    REQUEST_BUCKETS,
    'method',
    'route',
    'status',
  ),
  berth_placements_total: counter('Placement decisions', 'outcome'),
  berth_placement_batch_size: histogram(
    'VMs placed in one batch',
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
  ),
  berth_stage_seconds: histogram('Time of one stage of a batch', STAGE_BUCKETS, 'stage'),
  berth_ledger_refusals_total: counter('Bookings that the ledger refused', 'kind'),
  berth_catalogue_refusals_total: counter('Bookings that the catalogue refused', 'kind'),
  berth_rebuilds_total: counter('Rebuilds of the ledger', 'reason', 'outcome'),
  berth_drift: gauge('Findings of the last verification, by code', 'kind'),
  berth_event_readers_cut_total: counter('Readers of events that were cut off for being slow'),
  berth_set_aside_total: counter('What could not be worked with and was left aside', 'kind'),
  berth_agent_polls_total: counter('Polls of host agents', 'outcome'),
  berth_looks_total: counter('Looks at all hosts', 'outcome'),
  berth_hosts: gauge('Hosts that are not retired', 'state'),
  berth_capacity: gauge('Amounts of all hosts together', 'class', 'kind'),
  berth_waiting_vms: gauge('VMs that wait for room, in the whole fleet'),
  berth_waited_total: counter('VMs that have left the waiting room', 'outcome'),
  berth_breaker_open: gauge(
    '1 while so many hosts are missing that Berth takes itself to be cut off',
  ),
  berth_breaker_changes_total: counter('Times that this replica saw the breaker change', 'to'),
  berth_lifecycle_steps_total: counter('Steps taken for VMs', 'step', 'outcome'),
};

export interface Metrics extends Telemetry {
  readonly contentType: string;
  /** All metrics in the text format of Prometheus. */
  text(): Promise<string>;
}

/** A registry of its own, so that two control planes in one process do not mix. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  for (const [name, declared] of Object.entries(METRICS)) {
    const { help } = declared;
    const shared = { name, help, labelNames: [...declared.labels], registers: [registry] };
    if (declared.kind === 'counter') counters.set(name, new Counter(shared));
    else if (declared.kind === 'gauge') gauges.set(name, new Gauge(shared));
    else histograms.set(name, new Histogram({ ...shared, buckets: [...declared.buckets] }));
  }
  collectDefaultMetrics({ register: registry });

  return {
    contentType: registry.contentType,
    count(name, labels = {}, by = 1) {
      const found = counters.get(name);
      if (found === undefined) throw new Error(`there is no counter ${name}`);
      found.inc(labels, by);
    },
    observe(name, value, labels = {}) {
      const level = gauges.get(name);
      if (level !== undefined) {
        level.set(labels, value);
        return;
      }
      const found = histograms.get(name);
      if (found === undefined) throw new Error(`there is no histogram or gauge ${name}`);
      found.observe(labels, value);
    },
    text: () => registry.metrics(),
  };
}
