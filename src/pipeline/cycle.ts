import type { Component } from '../base/component.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { type Observe, timed } from '../base/observe.js';
import type { Forecast, ForecastRequest, Signal } from '../forecast/index.js';
import type { Plan } from '../plan/index.js';
import { CycleHistory, tableFor } from './cycle-history.js';
import { type CycleOutcome, finder, type PlanDependencies, planFrom, unplanned } from './cycle-plan.js';
import type { CycleSettings } from './cycle-settings.js';
import { InstanceRule } from './instance-rule.js';
import { insertForecasts, insertPlan } from './records.js';
import { withContext } from './request-context.js';
import { resourceForecasts } from './resource-forecasts.js';
import { TrackRecords } from './track-records.js';

export interface CycleDependencies extends Omit<PlanDependencies, 'settings'> {
  readonly forecasts: { forecast(requests: readonly ForecastRequest[], nowMs: number): Promise<Forecast[]> };
  /** Told of each plan; the actuator behind it is dry-run unless configured otherwise. */
  readonly onPlan: (plan: Plan) => Promise<void>;
  readonly logger: Logger;
  readonly settings: CycleSettings;
  readonly observe?: Observe;
}

/** What the newest forecast of a series says of itself. */
export interface ForecastQuality {
  readonly workloadId: number;
  readonly signal: Signal;
  readonly relativeToSeasonalNaive: number | null;
  readonly coverage: Forecast['coverage'];
}

/** Past origins that a run makes up for, all series together: half a minute of work, once after a first start. */
const CATCH_UP_ORIGINS = 4000;

/**
 * The slow loop of the gateway: usage → forecasts → plan, every so often. Each run reads its history from the store,
 * so a restart loses nothing; forecasts are kept with, later, the errors that they turned out to have.
 */
export class PlanningCycle implements Component {
  #dependencies: CycleDependencies;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #stopped = false;
  #forecasts = 0;
  #plan: Plan | undefined;
  #quality: readonly ForecastQuality[] = [];
  readonly #records: TrackRecords;
  readonly #instances = new InstanceRule();

  constructor(dependencies: CycleDependencies) {
    this.#dependencies = dependencies;
    this.#records = new TrackRecords(dependencies.client, dependencies.gateway);
  }

  /** Forecasts made so far, how good the newest ones are, and the newest plan. */
  get state(): {
    readonly forecasts: number;
    readonly quality: readonly ForecastQuality[];
    readonly plan: Plan | undefined;
  } {
    return { forecasts: this.#forecasts, quality: this.#quality, plan: this.#plan };
  }

  /** From the next run on these settings are used. */
  reconfigure(settings: CycleSettings): void {
    this.#dependencies = { ...this.#dependencies, settings };
  }

  async start(): Promise<void> {
    this.#stopped = false;
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** One run now: its plan, or why it made none; a run that fails says so and leaves the last plan standing. */
  async runOnce(nowMs: number): Promise<CycleOutcome> {
    const run = this.#running.then(() => this.#run(nowMs));
    this.#running = run;
    return run;
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      void this.runOnce(Date.now()).finally(() => {
        if (!this.#stopped) this.#schedule();
      });
    }, this.#dependencies.settings.everyMs);
  }

  async #run(nowMs: number): Promise<CycleOutcome> {
    try {
      return await this.#cycle(nowMs);
    } catch (error) {
      const reason = messageOf(error);
      this.#dependencies.logger.error(
        { err: error, reason },
        'a planning cycle failed; the last plan stands',
      );
      return unplanned('failed', reason);
    }
  }

  async #cycle(nowMs: number): Promise<CycleOutcome> {
    const { client, gateway, settings, forecasts: pool, logger, observe } = this.#dependencies;
    const started = performance.now();
    const { stepMs } = settings;
    const toMs = Math.floor((nowMs - settings.lagMs) / stepMs) * stepMs;
    const fromMs = toMs - Math.ceil(settings.historyMs / stepMs) * stepMs;
    const history = await CycleHistory.read(
      client,
      { gateway, fromMs, toMs, stepMs },
      settings.resourceModel,
    );
    if (history.workloads.length === 0) return unplanned('no-traffic');
    const axis = { startMs: fromMs, stepMs, values: new Float64Array((toMs - fromMs) / stepMs) };
    const shaped = history.requests({
      horizonSteps: Math.ceil((settings.horizonMs + toMs - nowMs + settings.lagMs) / stepMs),
      seasonSteps: settings.seasonsMs.map((season) => Math.round(season / stepMs)),
      quantiles: settings.quantiles,
      ...(settings.models ? { models: settings.models } : {}),
    });
    const told = await withContext(shaped, {
      client,
      window: { gateway, fromMs, toMs, stepMs, table: tableFor(stepMs) },
      nameOf: this.#dependencies.names(),
      settings,
    });
    const traffic = await pool.forecast(await this.#withRecords(told, fromMs), nowMs);
    await this.#records.add(traffic, nowMs);
    const made = [...traffic, ...this.#resources(history, traffic)];
    await insertForecasts(client, gateway, made);
    this.#forecasts += made.length;
    this.#quality = qualityOf(gateway, history, traffic);
    observe?.('forecast_duration_seconds', (performance.now() - started) / 1000);

    const outcome = await timed(observe, 'plan_duration_seconds', () =>
      planFrom(
        this.#dependencies,
        { history, axis, instances: this.#instances, made, last: this.#plan },
        nowMs,
      ),
    );
    const { plan } = outcome;
    if (plan === undefined) return outcome;
    this.#plan = plan;
    await insertPlan(client, plan);
    await this.#dependencies.onPlan(plan);
    logger.info(
      {
        planId: plan.id.slice(0, 12),
        costUsd: plan.costUsd,
        doNothingUsd: plan.doNothingUsd,
        workloads: history.workloads.length,
        forecasts: made.length,
      },
      'planned',
    );
    return outcome;
  }

  /** CPU and memory ahead of every workload whose traffic could be told ahead, unless they were forecast already. */
  #resources(history: CycleHistory, traffic: readonly Forecast[]): Forecast[] {
    const { gateway, settings } = this.#dependencies;
    const find = finder(gateway, traffic);
    return history.workloads.flatMap(({ workloadId, model }) => {
      const out = find(workloadId, 'bandwidthOutBps');
      if (out === undefined) return [];
      const ownCpu = find(workloadId, 'cpuCores');
      const { cpu, memory } = resourceForecasts(
        model,
        {
          out,
          inbound: find(workloadId, 'bandwidthInBps'),
          flows: find(workloadId, 'flowsPerSecond'),
        },
        ownCpu,
        settings.coefficients,
      );
      return cpu === ownCpu ? [memory] : [cpu, memory];
    });
  }

  /** Requests with what earlier forecasts of their series turned out to be worth. */
  async #withRecords(requests: readonly ForecastRequest[], sinceMs: number): Promise<ForecastRequest[]> {
    const ids = requests.map((request) => request.seriesId);
    this.#records.keepOnly(ids);
    const recordOf = await this.#records.of(ids, sinceMs);
    const catchUpOrigins = Math.max(2, Math.floor(CATCH_UP_ORIGINS / Math.max(1, requests.length)));
    return requests.map((request) => ({ ...request, record: recordOf(request.seriesId), catchUpOrigins }));
  }
}

function qualityOf(gateway: string, history: CycleHistory, traffic: readonly Forecast[]): ForecastQuality[] {
  const find = finder(gateway, traffic);
  return history.workloads.flatMap(({ workloadId }) =>
    (['bandwidthOutBps', 'bandwidthInBps'] as const).flatMap((signal) => {
      const found = find(workloadId, signal);
      if (found === undefined) return [];
      const { relativeToSeasonalNaive, coverage } = found;
      return [{ workloadId, signal, relativeToSeasonalNaive, coverage }];
    }),
  );
}
