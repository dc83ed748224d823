import type { ForecastRequest, SeriesHistory, Signal } from '../forecast/index.js';
import type { StoreClient } from '../store/index.js';
import {
  type ResourceModel,
  type ResourceModelOptions,
  readResources,
  resourceModelOf,
  type WorkloadResources,
} from '../usage/index.js';
import { onAxis } from './resource-forecasts.js';
import { type LinkUsage, readUsage, sumSeries, type UsageWindow } from './usage-history.js';

const TRAFFIC: Readonly<Partial<Record<Signal, (usage: LinkUsage) => SeriesHistory>>> = {
  bandwidthOutBps: (usage) => usage.outBps,
  bandwidthInBps: (usage) => usage.inBps,
  packetsPerSecond: (usage) => usage.packetsPerSecond,
  flowsPerSecond: (usage) => usage.flowsPerSecond,
};
const TRAFFIC_SIGNALS = Object.keys(TRAFFIC) as Signal[];
const LINK_SIGNALS: readonly Signal[] = ['bandwidthOutBps', 'bandwidthInBps'];
const LINK_PREFIX = 'link:';

/** A traffic signal over all of some links; `undefined` for what is no traffic. */
export function trafficOf(usage: readonly LinkUsage[], signal: Signal): SeriesHistory | undefined {
  const pick = TRAFFIC[signal];
  return pick && sumSeries(usage.map(pick));
}

/** The coarsest rollup whose own step divides `stepMs`. */
export const tableFor = (stepMs: number): UsageWindow['table'] =>
  stepMs % 3_600_000 === 0
    ? 'usage_1h'
    : stepMs % 300_000 === 0
      ? 'usage_5m'
      : stepMs % 60_000 === 0
        ? 'usage_1m'
        : 'usage_1s';

/** What a workload did over the window. */
export interface WorkloadHistory {
  readonly workloadId: number;
  readonly links: readonly LinkUsage[];
  readonly resources: WorkloadResources | undefined;
  readonly model: ResourceModel;
}

export type RequestShape = Omit<ForecastRequest, 'seriesId' | 'signal' | 'history'>;

/** Names a series: `gateway/workload/signal`, or `gateway/link:id/signal` for all of a link. */
export const seriesIdOf = (gateway: string, of: number | string, signal: Signal): string =>
  `${gateway}/${typeof of === 'number' ? of : `${LINK_PREFIX}${of}`}/${signal}`;

/** The history that a planning cycle rests on: read once, asked in several ways. */
export class CycleHistory {
  readonly #gateway: string;
  readonly #workloads: ReadonlyMap<number, WorkloadHistory>;
  readonly #links: ReadonlyMap<string, readonly LinkUsage[]>;

  private constructor(gateway: string, usage: readonly LinkUsage[], workloads: readonly WorkloadHistory[]) {
    this.#gateway = gateway;
    this.#workloads = new Map(workloads.map((workload) => [workload.workloadId, workload]));
    const links = new Map<string, LinkUsage[]>();
    for (const u of usage) links.set(u.linkId, [...(links.get(u.linkId) ?? []), u]);
    this.#links = links;
  }

  /** Reads the window `fromMs`..`toMs` in steps, with CPU and memory where they were collected. */
  static async read(
    client: Pick<StoreClient, 'query'>,
    window: Omit<UsageWindow, 'table'>,
    resourceModel: ResourceModelOptions | undefined,
  ): Promise<CycleHistory> {
    const { gateway, fromMs, toMs, stepMs } = window;
    const usage = await readUsage(client, { ...window, table: tableFor(stepMs) });
    const measured =
      resourceModel === undefined
        ? new Map<number, WorkloadResources>()
        : await readResources(client, gateway, fromMs, toMs, stepMs);
    const byWorkload = new Map<number, LinkUsage[]>();
    for (const u of usage) byWorkload.set(u.workloadId, [...(byWorkload.get(u.workloadId) ?? []), u]);
    // Traffic that belongs to no workload yet has no behaviour of its own to forecast.
    byWorkload.delete(0);
    const workloads = [...byWorkload].map(([workloadId, links]): WorkloadHistory => {
      const resources = measured.get(workloadId);
      const model = modelOf(links, resources, resourceModel);
      return { workloadId, links, resources, model };
    });
    return new CycleHistory(gateway, usage, workloads);
  }

  get workloads(): readonly WorkloadHistory[] {
    return [...this.#workloads.values()];
  }

  /** Every series that is to be forecast: of workloads, then of links as a whole. */
  requests(shape: RequestShape): ForecastRequest[] {
    const requests: ForecastRequest[] = [];
    const add = (of: number | string, signal: Signal): void => {
      const history = this.#series(of, signal);
      if (history !== undefined)
        requests.push({ ...shape, seriesId: seriesIdOf(this.#gateway, of, signal), signal, history });
    };
    for (const { workloadId, model } of this.workloads) {
      for (const signal of TRAFFIC_SIGNALS) add(workloadId, signal);
      if (model.cpu.kind === 'own-forecast') add(workloadId, 'cpuCores');
    }
    for (const linkId of this.#links.keys())
      if (linkId !== '') for (const signal of LINK_SIGNALS) add(linkId, signal);
    return requests;
  }

  #series(of: number | string, signal: Signal): SeriesHistory | undefined {
    const workload = typeof of === 'number' ? this.#workloads.get(of) : undefined;
    if (signal === 'cpuCores') return workload?.resources?.cpuCores;
    const usage = typeof of === 'number' ? workload?.links : this.#links.get(of);
    return usage && trafficOf(usage, signal);
  }
}

function modelOf(
  links: readonly LinkUsage[],
  resources: WorkloadResources | undefined,
  options: ResourceModelOptions | undefined,
): ResourceModel {
  if (options === undefined || resources === undefined)
    return { cpu: { kind: 'configured' }, memory: { kind: 'configured' } };
  const out = sumSeries(links.map((u) => u.outBps));
  const inbound = onAxis(sumSeries(links.map((u) => u.inBps)), out);
  return resourceModelOf(
    {
      cpuCores: onAxis(resources.cpuCores, out),
      memoryBytes: onAxis(resources.memoryBytes, out),
      bandwidthBps: out.values.map((bps, i) => Math.max(bps, inbound[i]!)),
      flowsPerSecond: onAxis(sumSeries(links.map((u) => u.flowsPerSecond)), out),
    },
    options,
  );
}
