import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { GatewayStatus } from '../pipeline/status.js';
import type { PipelineFigures } from './dependencies.js';
import type { Observations } from './observations.js';

type Labels = Readonly<Record<string, string>>;
type Reading = readonly (readonly [Labels, number])[];

export interface MetricDefinition {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: (sources: MetricSources) => Reading;
}

/** What the metrics are read from at each scrape. */
export interface MetricSources {
  readonly status: GatewayStatus;
  readonly figures: PipelineFigures;
  readonly notReady: Readonly<Record<string, string>>;
  readonly followingPlan: boolean;
  readonly version: string;
}

/** More workloads than these are left out, the least busy first: a label must not grow without bound. */
const WORKLOADS = 50;

/** Forecasts of the workloads that are shown. */
const shown = (
  { forecasts }: PipelineFigures,
  { workloads }: GatewayStatus,
): PipelineFigures['forecasts'] => {
  const busiest = new Set(workloads.slice(0, WORKLOADS).map((w) => w.workloadId));
  return forecasts.filter(({ workloadId }) => busiest.has(workloadId));
};

const single = (value: number): Reading => [[{}, value]];

const counter = (
  name: string,
  help: string,
  labels: readonly string[],
  read: MetricDefinition['read'],
): MetricDefinition => ({ name, type: 'counter', help, labels, read });
const gauge = (
  name: string,
  help: string,
  labels: readonly string[],
  read: MetricDefinition['read'],
): MetricDefinition => ({ name, type: 'gauge', help, labels, read });

/** Every metric of the gateway, the terms of the conservation law first; the reference page is made from this table. */
export const METRICS: readonly MetricDefinition[] = [
  counter('tidegate_packets_seen_total', 'Packets that reached the meter.', [], ({ status }) =>
    single(status.packets.seen),
  ),
  counter(
    'tidegate_packets_stored_total',
    'Packets in records that the store acknowledged.',
    [],
    ({ status }) => single(status.packets.stored),
  ),
  gauge('tidegate_packets_resident', 'Packets on their way, by place.', ['place'], ({ status }) =>
    Object.entries(status.packets.residentBy).map(([place, packets]) => [{ place }, packets]),
  ),
  counter(
    'tidegate_packets_lost_total',
    'Packets lost, by stage and reason.',
    ['stage', 'reason'],
    ({ status }) => status.packets.lostBy.map(({ stage, reason, packets }) => [{ stage, reason }, packets]),
  ),
  counter(
    'tidegate_octets_lost_total',
    'Octets lost, by stage and reason.',
    ['stage', 'reason'],
    ({ status }) => status.packets.lostBy.map(({ stage, reason, octets }) => [{ stage, reason }, octets]),
  ),
  gauge(
    'tidegate_packets_unaccounted',
    'Seen less stored, resident and lost; 0 at a quiet moment, near 0 otherwise.',
    [],
    ({ status }) => single(status.packets.difference),
  ),
  counter(
    'tidegate_xdp_packets_total',
    'Packets received, by interface.',
    ['interface', 'link', 'mode'],
    ({ status }) =>
      status.interfaces.map((i) => [{ interface: i.name, link: i.linkId, mode: i.mode }, i.rxPackets]),
  ),
  counter(
    'tidegate_xdp_bytes_total',
    'Octets received, by interface.',
    ['interface', 'link', 'mode'],
    ({ status }) =>
      status.interfaces.map((i) => [{ interface: i.name, link: i.linkId, mode: i.mode }, i.rxOctets]),
  ),
  gauge('tidegate_flows_active', 'Flows in the flow table.', [], ({ status }) => single(status.flows.active)),
  counter(
    'tidegate_flow_records_total',
    'Flow records that reached the spool, by flowEndReason.',
    ['reason'],
    ({ figures }) => Object.entries(figures.recordsByEndReason).map(([reason, n]) => [{ reason }, n]),
  ),
  gauge('tidegate_ring_fill_ratio', 'How full the fullest ring buffer is, 0 to 1.', [], ({ figures }) =>
    single(figures.ringFill),
  ),
  gauge(
    'tidegate_overload_level',
    'What metering gives up because the reader cannot keep up; 0 = nothing.',
    [],
    ({ figures }) => single(figures.overloadLevel),
  ),
  counter(
    'tidegate_payload_heads_total',
    'Payload heads by what became of them, and what flows went without for want of room.',
    ['outcome'],
    ({ figures }) => Object.entries(figures.headsByOutcome).map(([outcome, n]) => [{ outcome }, n]),
  ),
  gauge('tidegate_infer_queue_depth', 'Batches between the meter and the spool.', [], ({ figures }) =>
    single(figures.inferQueue),
  ),
  counter('tidegate_store_insert_rows_total', 'Flow records that the store acknowledged.', [], ({ status }) =>
    single(status.records.written),
  ),
  gauge('tidegate_store_reachable', '1 when the store answered last time.', ['kind'], ({ status }) => [
    [{ kind: status.store.kind }, status.store.reachable ? 1 : 0],
  ]),
  gauge('tidegate_store_spool_bytes', 'Octets that wait for the store on disk.', [], ({ status }) =>
    single(status.store.spoolBytes),
  ),
  gauge('tidegate_workloads', 'Workloads that are known.', [], ({ status }) =>
    single(status.workloads.length),
  ),
  gauge(
    'tidegate_workload_bytes_per_second',
    `Traffic of a workload, both directions; the ${WORKLOADS} busiest.`,
    ['workload'],
    ({ status }) =>
      status.workloads.slice(0, WORKLOADS).map((w) => [{ workload: String(w.workloadId) }, w.rateBps / 8]),
  ),
  gauge('tidegate_workload_info', 'Name of a workload.', ['workload', 'name'], ({ status }) =>
    status.workloads.slice(0, WORKLOADS).map((w) => [{ workload: String(w.workloadId), name: w.name }, 1]),
  ),
  counter('tidegate_forecasts_total', 'Forecasts that were made.', [], ({ status }) =>
    single(status.forecasts),
  ),
  gauge(
    'tidegate_forecast_relative_error_ratio',
    "Realised error of a workload's forecasts divided by that of repeating the season; below 1 is better.",
    ['workload', 'signal'],
    ({ figures, status }) =>
      shown(figures, status).flatMap(({ workloadId, signal, relativeToSeasonalNaive: ratio }) =>
        ratio === null ? [] : [[{ workload: String(workloadId), signal }, ratio] as const],
      ),
  ),
  gauge(
    'tidegate_forecast_coverage_ratio',
    'Share of realised values below the nominal quantile, 0 to 1.',
    ['workload', 'signal', 'quantile'],
    ({ figures, status }) =>
      shown(figures, status).flatMap(({ workloadId, signal, coverage }) =>
        Object.entries(coverage).flatMap(([name, ratio]) =>
          ratio === null
            ? []
            : [[{ workload: String(workloadId), signal, quantile: `0.${name.slice(1)}` }, ratio] as const],
        ),
      ),
  ),
  gauge('tidegate_plan_cost_usd', 'Cost of the newest plan over its horizon.', [], ({ status }) =>
    status.plan === null ? [] : single(status.plan.costUsd),
  ),
  gauge('tidegate_plan_do_nothing_usd', 'Cost of the same horizon when nothing is done.', [], ({ status }) =>
    status.plan === null ? [] : single(status.plan.doNothingUsd),
  ),
  gauge(
    'tidegate_plan_expected_saving_usd',
    'Doing nothing less the newest plan, over its horizon.',
    [],
    ({ status }) => (status.plan === null ? [] : single(status.plan.doNothingUsd - status.plan.costUsd)),
  ),
  gauge(
    'tidegate_plan_created_timestamp_seconds',
    'When the newest plan was made, Unix time.',
    [],
    ({ status }) => (status.plan === null ? [] : single(status.plan.createdMs / 1000)),
  ),
  gauge('tidegate_plan_followed', '1 while a plan is applied.', [], ({ followingPlan }) =>
    single(followingPlan ? 1 : 0),
  ),
  counter(
    'tidegate_actuation_total',
    'Steps that actuators took, and plans that were refused, failed or rolled back.',
    ['actuator', 'result'],
    ({ figures }) =>
      figures.actuations.map(({ actuator, result, count }) => [{ actuator, result }, count] as const),
  ),
  gauge('tidegate_ready', '1 when the gateway measures and stores.', [], ({ notReady }) =>
    single(Object.keys(notReady).length === 0 ? 1 : 0),
  ),
  gauge('tidegate_warnings', 'Warnings that `tidegate status` shows.', [], ({ status }) =>
    single(status.warnings.length),
  ),
  gauge('tidegate_start_time_seconds', 'When the gateway started, Unix time.', [], ({ status }) =>
    single(status.startedMs / 1000),
  ),
  gauge(
    'tidegate_build_info',
    'Version of the gateway.',
    ['version', 'gateway', 'mode'],
    ({ version, status }) => [[{ version, gateway: status.gateway, mode: status.mode }, 1]],
  ),
];

export const API_REQUESTS = 'tidegate_api_request_duration_seconds';

/** Prometheus metrics of a gateway: read from its counters when they are asked for, so nothing is counted twice. */
export class GatewayMetrics {
  readonly #registry = new Registry();
  readonly #sources: () => MetricSources;
  readonly #requests: Histogram<'method' | 'route' | 'status'>;

  constructor(sources: () => MetricSources, observations: Observations) {
    this.#sources = sources;
    for (const definition of METRICS) {
      const { name, help, labels, type } = definition;
      const shape = { name, help, labelNames: [...labels], registers: [this.#registry] };
      if (type === 'counter') new Counter(shape);
      else new Gauge(shape);
    }
    this.#requests = new Histogram({
      name: API_REQUESTS,
      help: 'Answers of the API, by route and status.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
      registers: [this.#registry],
    });
    for (const histogram of observations.histograms.values()) this.#registry.registerMetric(histogram);
    collectDefaultMetrics({ register: this.#registry });
  }

  /** An answer of the API went out. */
  answered(method: string, route: string, status: number, seconds: number): void {
    this.#requests.observe({ method, route, status: String(status) }, seconds);
  }

  async text(): Promise<{ contentType: string; text: string }> {
    const sources = this.#sources();
    for (const { name, read } of METRICS) {
      const metric = this.#registry.getSingleMetric(name);
      if (!(metric instanceof Counter || metric instanceof Gauge)) continue;
      metric.reset();
      for (const [labels, value] of read(sources)) metric.inc({ ...labels }, value);
    }
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }
}
