import type { Component } from '../base/component.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { Forecast, ForecastRequest, ResourceCoefficients, Signal } from '../forecast/index.js';
import type { Plan, PlanGoals, PlanHosts, PlanInput, PlanLink } from '../plan/index.js';
import type { StoreClient } from '../store/index.js';
import { demandOf, periodsOf, type WorkloadFacts } from './demand.js';
import { insertForecasts, insertPlan, insertRealisedErrors } from './records.js';
import { type LinkUsage, readUsage, sumSeries, type UsageWindow } from './usage-history.js';

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
  readonly quantiles: readonly number[];
  /** The quantile that capacity is provided for. */
  readonly sizingQuantile: number;
  readonly coefficients: ResourceCoefficients;
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
}

const SIGNALS: readonly {
  readonly signal: Signal;
  readonly pick: (usage: LinkUsage) => LinkUsage['outBps'];
}[] = [
  { signal: 'bandwidthOutBps', pick: (usage) => usage.outBps },
  { signal: 'bandwidthInBps', pick: (usage) => usage.inBps },
];
/** Steps that tell what a workload does now. */
const CURRENT_STEPS = 5;
/** Earlier forecasts kept to be compared with what came. */
const REMEMBERED_CYCLES = 64;

const tableFor = (stepMs: number): UsageWindow['table'] =>
  stepMs % 3_600_000 === 0
    ? 'usage_1h'
    : stepMs % 300_000 === 0
      ? 'usage_5m'
      : stepMs % 60_000 === 0
        ? 'usage_1m'
        : 'usage_1s';

const lastMean = (values: Float64Array): number => {
  const recent = values.subarray(Math.max(0, values.length - CURRENT_STEPS));
  return recent.reduce((sum, value) => sum + value, 0) / Math.max(1, recent.length);
};

/**
 * The slow loop of the gateway: usage → forecasts → plan, every so often. Each run reads its history from the store,
 * so a restart loses nothing; forecasts are kept with, later, the errors that they turned out to have.
 */
export class PlanningCycle implements Component {
  readonly #dependencies: CycleDependencies;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;
  #forecasts = 0;
  #plan: Plan | undefined;
  #pending: { readonly forecasts: readonly Forecast[]; readonly untilMs: number }[] = [];

  constructor(dependencies: CycleDependencies) {
    this.#dependencies = dependencies;
  }

  /** Forecasts made so far and the newest plan. */
  get state(): { readonly forecasts: number; readonly plan: Plan | undefined } {
    return { forecasts: this.#forecasts, plan: this.#plan };
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
    const { client, gateway, settings, forecasts: pool, logger } = this.#dependencies;
    const { stepMs } = settings;
    const toMs = Math.floor((nowMs - settings.lagMs) / stepMs) * stepMs;
    const fromMs = toMs - Math.ceil(settings.historyMs / stepMs) * stepMs;
    const usage = await readUsage(client, { gateway, table: tableFor(stepMs), fromMs, toMs, stepMs });
    const byWorkload = new Map<number, LinkUsage[]>();
    for (const u of usage) byWorkload.set(u.workloadId, [...(byWorkload.get(u.workloadId) ?? []), u]);
    // Traffic that belongs to no workload yet has no behaviour of its own to forecast.
    byWorkload.delete(0);
    if (byWorkload.size === 0) return;

    const requests: ForecastRequest[] = [];
    for (const [workloadId, links] of byWorkload) {
      for (const { signal, pick } of SIGNALS) {
        requests.push({
          seriesId: `${gateway}/${workloadId}/${signal}`,
          signal,
          history: sumSeries(links.map(pick)),
          horizonSteps: Math.ceil((settings.horizonMs + toMs - nowMs + settings.lagMs) / stepMs),
          seasonSteps: settings.seasonsMs.map((season) => Math.round(season / stepMs)),
          quantiles: settings.quantiles,
          ...(settings.models ? { models: settings.models } : {}),
        });
      }
    }
    await this.#realise(byWorkload, toMs);
    const made = await pool.forecast(requests, nowMs);
    await insertForecasts(client, gateway, made);
    this.#forecasts += made.length;
    this.#pending.push({ forecasts: made, untilMs: toMs + (made[0]?.median.length ?? 0) * stepMs });
    this.#pending = this.#pending.slice(-REMEMBERED_CYCLES);

    const plan = await this.#makePlan(byWorkload, made, nowMs);
    if (plan === undefined) return;
    this.#plan = plan;
    await insertPlan(client, plan);
    await this.#dependencies.onPlan(plan);
    logger.info(
      {
        planId: plan.id.slice(0, 12),
        costUsd: plan.costUsd,
        doNothingUsd: plan.doNothingUsd,
        workloads: byWorkload.size,
        forecasts: made.length,
      },
      'planned',
    );
  }

  async #makePlan(
    byWorkload: ReadonlyMap<number, readonly LinkUsage[]>,
    made: readonly Forecast[],
    nowMs: number,
  ): Promise<Plan | undefined> {
    const { settings, gateway, names, planner } = this.#dependencies;
    const nameOf = names();
    const usable = made.filter((forecast) => forecast.status !== 'refused');
    const find = (workloadId: number, signal: Signal): Forecast | undefined =>
      usable.find((f) => f.seriesId === `${gateway}/${workloadId}/${signal}`);
    const first = usable[0];
    if (first === undefined) return undefined;
    const periods = periodsOf(first.startMs, first.stepMs, first.median.length);
    const workloads = [...byWorkload].flatMap(([workloadId, links]) => {
      const out = find(workloadId, 'bandwidthOutBps');
      if (out === undefined) return [];
      return [
        demandOf(
          this.#facts(workloadId, nameOf(workloadId), links),
          out,
          find(workloadId, 'bandwidthInBps'),
          periods,
          settings.sizingQuantile,
          settings.coefficients,
        ),
      ];
    });
    const links = await this.#dependencies.links();
    if (links.length === 0 || workloads.length === 0) return undefined;
    return planner.plan({
      gateway,
      nowMs,
      periods,
      workloads,
      links,
      hosts: settings.hosts,
      goals: settings.goals,
      expiresMs: Math.min(nowMs + settings.validForMs, first.startMs + first.median.length * first.stepMs),
      forecastMs: first.createdMs,
    });
  }

  #facts(workloadId: number, name: string, links: readonly LinkUsage[]): WorkloadFacts {
    const rates = links.map((u) => ({
      linkId: u.linkId,
      bps: lastMean(u.outBps.values) + lastMean(u.inBps.values),
    }));
    const total = rates.reduce((sum, rate) => sum + rate.bps, 0);
    const current = Math.max(
      links.reduce((sum, u) => sum + lastMean(u.outBps.values), 0),
      links.reduce((sum, u) => sum + lastMean(u.inBps.values), 0),
    );
    const shares = Object.fromEntries(
      rates.map((rate) => [rate.linkId, total > 0 ? rate.bps / total : 1 / rates.length]),
    );
    return { workloadId, name, currentBps: current, shares };
  }

  /** Compares forecasts whose horizon is over with what came. */
  async #realise(byWorkload: ReadonlyMap<number, readonly LinkUsage[]>, toMs: number): Promise<void> {
    const { client, gateway } = this.#dependencies;
    const due = this.#pending.filter((p) => p.untilMs <= toMs);
    this.#pending = this.#pending.filter((p) => p.untilMs > toMs);
    for (const { forecasts } of due) {
      const actuals = forecasts.map((forecast) => {
        const [, id, signal] = forecast.seriesId.split('/');
        const links = byWorkload.get(Number(id));
        const pick = SIGNALS.find((s) => s.signal === signal)?.pick;
        return links && pick ? sumSeries(links.map(pick)) : undefined;
      });
      await insertRealisedErrors(client, gateway, forecasts, actuals, toMs);
    }
  }
}
