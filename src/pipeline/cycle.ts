import type { Component } from '../base/component.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { type Observe, timed } from '../base/observe.js';
import type {
  CalendarRule,
  Forecast,
  ForecastRequest,
  ProphetSettings,
  RegressorRule,
  ResourceCoefficients,
  Signal,
} from '../forecast/index.js';
import {
  type Plan,
  type PlanGoals,
  type PlanHosts,
  type PlanInput,
  type PlanLink,
  runningSince,
} from '../plan/index.js';
import type { StoreClient } from '../store/index.js';
import type { ResourceModelOptions } from '../usage/index.js';
import { CycleHistory, seriesIdOf, tableFor } from './cycle-history.js';
import { demandOf, factsOf, periodsOf } from './demand.js';
import { insertForecasts, insertPlan } from './records.js';
import { withContext } from './request-context.js';
import { resourceForecasts } from './resource-forecasts.js';
import { newestPlan } from './stored-plans.js';
import { TrackRecords } from './track-records.js';

export interface CycleSettings {
  readonly everyMs: number;
  /** How long a plan may be applied after it was made; never beyond the end of its horizon. */
  readonly validForMs: number;
  readonly stepMs: number;
  readonly seasonsMs: readonly number[];
  readonly horizonMs: number;
  readonly historyMs: number;
  /** Records of a packet have arrived in the store after so long. */
  readonly lagMs: number;
  readonly models?: readonly string[];
  readonly calendar: readonly CalendarRule[];
  readonly regressors: readonly RegressorRule[];
  readonly prophet?: ProphetSettings;
  readonly quantiles: readonly number[];
  /** The quantile that capacity is provided for. */
  readonly sizingQuantile: number;
  readonly coefficients: ResourceCoefficients;
  /** How collected CPU and memory are used; absent = nothing is collected. */
  readonly resourceModel?: ResourceModelOptions;
  readonly goals: PlanGoals;
  readonly hosts: PlanHosts;
}

export interface CycleDependencies {
  readonly client: StoreClient;
  readonly forecasts: { forecast(requests: readonly ForecastRequest[], nowMs: number): Promise<Forecast[]> };
  readonly planner: { plan(input: PlanInput): Promise<Plan> };
  /** Links with their prices now; asked each cycle because tiers move with the month's volume. */
  readonly links: () => Promise<PlanLink[]>;
  /** Workload names as of now. */
  readonly names: () => (workloadId: number) => string;
  /** Told of each plan; the actuator behind it is dry-run unless configured otherwise. */
  readonly onPlan: (plan: Plan) => Promise<void>;
  readonly gateway: string;
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
  #running: Promise<void> = Promise.resolve();
  #stopped = false;
  #forecasts = 0;
  #plan: Plan | undefined;
  #quality: readonly ForecastQuality[] = [];
  readonly #records: TrackRecords;

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

  /** One run now; resolves when its plan stands or it found nothing to plan for. */
  async runOnce(nowMs: number): Promise<void> {
    this.#running = this.#running.then(() => this.#run(nowMs));
    await this.#running;
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      void this.runOnce(Date.now()).finally(() => {
        if (!this.#stopped) this.#schedule();
      });
    }, this.#dependencies.settings.everyMs);
  }

  async #run(nowMs: number): Promise<void> {
    try {
      await this.#cycle(nowMs);
    } catch (error) {
      this.#dependencies.logger.error(
        { err: error, reason: messageOf(error) },
        'a planning cycle failed; the last plan stands',
      );
    }
  }

  async #cycle(nowMs: number): Promise<void> {
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
    if (history.workloads.length === 0) return;
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

    const plan = await timed(observe, 'plan_duration_seconds', () => this.#makePlan(history, made, nowMs));
    if (plan === undefined) return;
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

  async #makePlan(
    history: CycleHistory,
    made: readonly Forecast[],
    nowMs: number,
  ): Promise<Plan | undefined> {
    const { settings, gateway, names, planner } = this.#dependencies;
    const nameOf = names();
    const find = finder(gateway, made);
    const first = made.find((forecast) => forecast.status !== 'refused');
    if (first === undefined) return undefined;
    const periods = periodsOf(first.startMs, first.stepMs, first.median.length);
    const workloads = history.workloads.flatMap(({ workloadId, links }) => {
      const out = find(workloadId, 'bandwidthOutBps');
      const cpu = find(workloadId, 'cpuCores');
      const memory = find(workloadId, 'memoryBytes');
      if (out === undefined || cpu === undefined || memory === undefined) return [];
      return [
        demandOf(
          factsOf(workloadId, nameOf(workloadId), links),
          out,
          find(workloadId, 'bandwidthInBps'),
          { cpu, memory },
          periods,
          settings.sizingQuantile,
        ),
      ];
    });
    const links = await this.#dependencies.links();
    const hosts = await this.#hosts(nowMs);
    if (links.length === 0 || workloads.length === 0) return undefined;
    return planner.plan({
      gateway,
      nowMs,
      periods,
      workloads,
      links,
      hosts,
      goals: settings.goals,
      expiresMs: Math.min(nowMs + settings.validForMs, first.startMs + first.median.length * first.stepMs),
      forecastMs: first.createdMs,
    });
  }

  /** The hosts, with the instances that run now, as the last plan had them: after a restart the stored one. */
  async #hosts(nowMs: number): Promise<PlanHosts> {
    const { settings, client, gateway } = this.#dependencies;
    const { instance } = settings.hosts;
    const last = this.#plan ?? (await newestPlan(client, gateway));
    if (last === undefined) return settings.hosts;
    const runningSinceMs = runningSince(last, instance.holdMs ?? 0, nowMs);
    return { ...settings.hosts, instance: { ...instance, runningSinceMs } };
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

/** Looks up usable forecasts by workload and signal. */
function finder(gateway: string, forecasts: readonly Forecast[]) {
  const usable = new Map(forecasts.filter((f) => f.status !== 'refused').map((f) => [f.seriesId, f]));
  return (workloadId: number, signal: Signal): Forecast | undefined =>
    usable.get(seriesIdOf(gateway, workloadId, signal));
}
