import type { Component } from '../base/component.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { StoreClient } from '../store/index.js';
import type { UsageConfig } from './config.js';
import { HostMapping, hostOf, type ServedStep } from './host-mapping.js';
import type { LabelledSeries, PrometheusClient } from './prometheus.js';

export interface UsageCollectorOptions {
  readonly gateway: string;
  readonly config: UsageConfig;
  readonly prometheus: Pick<PrometheusClient, 'range'>;
  readonly client: () => Pick<StoreClient, 'query' | 'insertRows'>;
  readonly logger: Logger;
  readonly now?: () => number;
}

/** A row of `resource_usage`; `nan` = not known. */
interface UsageRow {
  readonly time: string;
  readonly gateway: string;
  readonly workloadId: number;
  readonly cpuCores: number | 'nan';
  readonly memoryBytes: number | 'nan';
  readonly source: 'prometheus';
}

/** Flows and scrapes of a step are complete so long after its end. */
const SETTLE_MS = 5_000;
/** Steps that are fetched, mapped and stored as one. */
const STEPS_AT_ONCE = 5_000;
/** The newest steps are read again: rates and late flows settle, and the newest row of a step counts. */
const REREAD_STEPS = 2;

const orNan = (value: number): number | 'nan' => (Number.isFinite(value) ? value : 'nan');

/**
 * Reads CPU and memory of hosts from Prometheus, says by the flows which workloads ran there at each moment, and keeps
 * the result in `resource_usage`. A host that served several workloads in a step is divided by their octets. It goes on
 * where the stored history ends, after a restart too; a step that Prometheus does not know stays a gap.
 */
export class UsageCollector implements Component {
  readonly #options: UsageCollectorOptions;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = true;
  #problem: string | undefined;

  constructor(options: UsageCollectorOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Why the last collection failed; `undefined` when it did not. */
  get problem(): string | undefined {
    return this.#problem;
  }

  async start(): Promise<void> {
    this.#stopped = false;
    this.#schedule(0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(afterMs: number): void {
    this.#timer = setTimeout(() => {
      this.#running = this.collect()
        .then(() => {
          this.#problem = undefined;
        })
        .catch((error: unknown) => {
          this.#problem = messageOf(error);
          this.#options.logger.warn({ err: error }, `CPU and memory not collected: ${messageOf(error)}`);
        })
        .finally(() => {
          if (!this.#stopped) this.#schedule(this.#options.config.every);
        });
    }, afterMs);
    this.#timer.unref();
  }

  /** Collects what is missing until now. @returns rows stored @throws TG_USAGE_*, TG_STORE_* */
  async collect(): Promise<number> {
    const { step, backfill } = this.#options.config;
    const untilMs = Math.floor((this.#now() - SETTLE_MS) / step) * step;
    const oldest = Math.floor((untilMs - backfill) / step) * step;
    const last = await this.#lastStored();
    let fromMs = last === undefined ? oldest : Math.max(oldest, last - (REREAD_STEPS - 1) * step);
    let stored = 0;
    while (fromMs < untilMs) {
      const endMs = Math.min(untilMs, fromMs + STEPS_AT_ONCE * step);
      stored += await this.#collectSpan(fromMs, endMs);
      fromMs = endMs;
    }
    return stored;
  }

  async #collectSpan(fromMs: number, untilMs: number): Promise<number> {
    const { config, prometheus, gateway } = this.#options;
    const { step } = config;
    const window = `${Math.max(1, Math.round(config.window / 1000))}s`;
    // A value at the end of a step tells of that step.
    const range = (query: string): Promise<LabelledSeries[]> =>
      prometheus.range(query.replaceAll('$window', window), fromMs + step, untilMs + step, step);
    const [cpu, memory] = await Promise.all([range(config.cpuQuery), range(config.memoryQuery)]);
    const hosts = new Map<string, { cpu?: Float64Array; memory?: Float64Array }>();
    for (const [name, all] of [['cpu', cpu] as const, ['memory', memory] as const])
      for (const { labels, series } of all) {
        const host = hostOf(labels[config.hostLabel] ?? '');
        const address = config.addresses[host] ?? host;
        if (address !== '') hosts.set(address, { ...hosts.get(address), [name]: series.values });
      }
    if (hosts.size === 0) return 0;
    const mapping = new HostMapping(
      await this.#served([...hosts.keys()], fromMs - config.hold, untilMs),
      step,
      config.hold,
    );
    const rows: UsageRow[] = [];
    for (let i = 0; i < Math.round((untilMs - fromMs) / step); i += 1) {
      const atMs = fromMs + i * step;
      const sums = new Map<number, { cpu: number; memory: number }>();
      for (const [address, values] of hosts)
        for (const [workloadId, share] of mapping.sharesAt(address, atMs)) {
          const sum = sums.get(workloadId) ?? { cpu: 0, memory: 0 };
          // One unknown host makes the sum unknown: a partial sum would look like a drop.
          sum.cpu += share * (values.cpu?.[i] ?? Number.NaN);
          sum.memory += share * (values.memory?.[i] ?? Number.NaN);
          sums.set(workloadId, sum);
        }
      for (const [workloadId, sum] of sums) {
        if (Number.isNaN(sum.cpu) && Number.isNaN(sum.memory)) continue;
        rows.push({
          time: new Date(atMs).toISOString(),
          gateway,
          workloadId,
          cpuCores: orNan(sum.cpu),
          memoryBytes: orNan(sum.memory),
          source: 'prometheus',
        });
      }
    }
    await this.#options.client().insertRows('resource_usage', rows as unknown as Record<string, unknown>[]);
    return rows.length;
  }

  async #lastStored(): Promise<number | undefined> {
    const [row] = await this.#options
      .client()
      .query<{ last: number; rows: number }>(
        `SELECT toUnixTimestamp(max(time)) AS last, toUInt32(count()) AS rows FROM resource_usage WHERE gateway = {gateway:String}`,
        { params: { gateway: this.#options.gateway } },
      );
    return row === undefined || Number(row.rows) === 0 ? undefined : Number(row.last) * 1000;
  }

  /** Octets by responder address and workload, step by step. */
  async #served(addresses: readonly string[], fromMs: number, untilMs: number): Promise<ServedStep[]> {
    const stepSeconds = this.#options.config.step / 1000;
    const rows = await this.#options.client().query<{
      address: string;
      workloadId: number;
      step: number;
      octets: number;
    }>(
      `SELECT replaceOne(toString(destinationIPv6Address), '::ffff:', '') AS address, workloadId,
         toUInt32(intDiv(toUnixTimestamp(toDateTime(flowEndNanoseconds)), {step:UInt32}) * {step:UInt32}) AS step,
         toFloat64(sum(octetsOut + octetsIn)) AS octets
       FROM flows
       WHERE gateway = {gateway:String} AND flowEndNanoseconds >= toDateTime64({from:UInt32}, 9) AND flowEndNanoseconds < toDateTime64({to:UInt32}, 9)
         AND workloadId != 0 AND address IN splitByChar(',', {addresses:String})
       GROUP BY address, workloadId, step`,
      {
        params: {
          gateway: this.#options.gateway,
          step: stepSeconds,
          from: Math.max(0, Math.floor(fromMs / 1000)),
          to: Math.ceil(untilMs / 1000),
          addresses: addresses.join(','),
        },
      },
    );
    return rows.map((row) => ({
      address: row.address,
      workloadId: Number(row.workloadId),
      stepStartMs: Number(row.step) * 1000,
      octets: Number(row.octets),
    }));
  }
}
