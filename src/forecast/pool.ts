import { Piscina } from 'piscina';
import type { Component } from '../base/component.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { workerFile } from '../base/worker-file.js';
import type { ForecastTask } from './forecast-worker.js';
import { ALL } from './models.js';
import type { Forecast, ForecastRequest, ModelFailure } from './types.js';
import { Whereabouts } from './whereabouts.js';

export interface ForecastPoolOptions {
  readonly logger: Logger;
  readonly workers?: number;
  /** A slice of series that takes longer is given up, and made again without the model that it hung in. */
  readonly timeLimitMs?: number;
}

const SLICE = 8;
const DEFAULT_TIME_LIMIT_MS = 30_000;
/** A thread that was given up is replaced, and the new one has to load first. */
const THREAD_START_MS = 15_000;
/** A slice is made again so often, each time without the model that hung or crashed; then it is left to the safe members. */
const RETRIES = 2;
/** For so long a model is not tried again on a series that it hung or crashed on. The recipe cannot hang: it was late. */
const LEFT_OUT_MS = 86_400_000;

interface Blame extends ModelFailure {
  readonly untilMs: number;
}

/** Forecasts many series in worker threads, with a time limit; a model that hangs or crashes is replaced and named. */
export class ForecastPool implements Component {
  readonly #options: ForecastPoolOptions;
  #pool: Piscina | undefined;
  /** By series: models that hung or crashed on it. */
  readonly #leftOut = new Map<string, readonly Blame[]>();

  constructor(options: ForecastPoolOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#pool = new Piscina({
      filename: workerFile(import.meta.url, './forecast-worker'),
      minThreads: 0,
      maxThreads: this.#options.workers ?? 1,
      idleTimeout: 60_000,
    });
  }

  async stop(): Promise<void> {
    await this.#pool?.destroy();
    this.#pool = undefined;
  }

  /**
   * One forecast for each request, in order. Where a worker hangs or dies, the model that it was at is left out of that
   * series for a day; the forecast says so.
   */
  async forecast(requests: readonly ForecastRequest[], nowMs: number): Promise<Forecast[]> {
    this.#forgive(nowMs);
    const slices: ForecastRequest[][] = [];
    for (let i = 0; i < requests.length; i += SLICE) slices.push(requests.slice(i, i + SLICE));
    const results = await Promise.all(slices.map((slice) => this.#slice(slice, nowMs)));
    return results.flat();
  }

  async #slice(requests: readonly ForecastRequest[], nowMs: number): Promise<Forecast[]> {
    const { timeLimitMs = DEFAULT_TIME_LIMIT_MS, logger } = this.#options;
    for (let attempt = 0; ; attempt += 1) {
      // A worker that was given up may still write into its own.
      const whereabouts = new Whereabouts();
      const signal = AbortSignal.timeout(timeLimitMs + (attempt > 0 ? THREAD_START_MS : 0));
      const task = { requests: requests.map((request) => this.#without(request)), nowMs };
      try {
        return await this.#run({ ...task, whereabouts: whereabouts.shared }, signal);
      } catch (error) {
        const reason = signal.aborted ? `took longer than ${timeLimitMs / 1000} s` : messageOf(error);
        const at = whereabouts.last;
        const suspect = at === undefined ? undefined : requests[at.request];
        logger.warn(
          { code: 'TG_FORECAST_WORKER', reason, seriesId: suspect?.seriesId, model: at?.model },
          'a forecast worker failed; it goes on without the model that it was at',
        );
        if (attempt > RETRIES) throw error;
        const model = at?.model ?? ALL;
        if (suspect !== undefined)
          this.#leaveOut(suspect.seriesId, {
            model,
            reason,
            untilMs: nowMs + (model === ALL ? 1 : LEFT_OUT_MS),
          });
        // Not known where, or again and again: all of the slice are left to the safe members this time.
        if (suspect === undefined || attempt === RETRIES)
          for (const { seriesId, models = [ALL] } of requests)
            for (const one of models) this.#leaveOut(seriesId, { model: one, reason, untilMs: nowMs + 1 });
      }
    }
  }

  #leaveOut(seriesId: string, blame: Blame): void {
    const known = this.#leftOut.get(seriesId) ?? [];
    if (!known.some(({ model }) => model === blame.model)) this.#leftOut.set(seriesId, [...known, blame]);
  }

  /** Models whose time is over are tried again. */
  #forgive(nowMs: number): void {
    for (const [seriesId, blames] of this.#leftOut) {
      const still = blames.filter(({ untilMs }) => untilMs > nowMs);
      if (still.length === 0) this.#leftOut.delete(seriesId);
      else this.#leftOut.set(seriesId, still);
    }
  }

  /** A request without the models that its series is better forecast without. */
  #without(request: ForecastRequest): ForecastRequest {
    const blames = this.#leftOut.get(request.seriesId);
    if (blames === undefined) return request;
    const leftOut = blames.map(({ model, reason }) => ({ model, reason }));
    // Past origins are made up for when all members can be judged on them.
    const late = leftOut.some(({ model }) => model === ALL);
    return { ...request, leftOut, ...(late ? { catchUpOrigins: 0 } : {}) };
  }

  async #run(task: ForecastTask, signal: AbortSignal): Promise<Forecast[]> {
    if (!this.#pool) throw new Error('the forecast pool is not started');
    return (await this.#pool.run(task, { name: 'forecast', signal })) as Forecast[];
  }
}
