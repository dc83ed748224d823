import { Piscina } from 'piscina';
import type { Component } from '../base/component.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { workerFile } from '../base/worker-file.js';
import type { ForecastTask } from './forecast-worker.js';
import type { Forecast, ForecastRequest } from './types.js';

export interface ForecastPoolOptions {
  readonly logger: Logger;
  readonly workers?: number;
  /** A slice of series that takes longer is given up; it is forecast by the safe members. */
  readonly timeLimitMs?: number;
}

const SLICE = 8;
const DEFAULT_TIME_LIMIT_MS = 30_000;
/** A thread that was given up is replaced, and the new one has to load first. */
const THREAD_START_MS = 15_000;
/** Members that take well under a millisecond and cannot hang. */
const SAFE_MODELS = ['snd', 'snw', 'l1h', 'l6h', 'l1d', 'pmed7', 'pwmed'];

/** Forecasts many series in worker threads, with a time limit and a fallback. */
export class ForecastPool implements Component {
  readonly #options: ForecastPoolOptions;
  #pool: Piscina | undefined;

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

  /** One forecast for each request, in order. A slice whose worker dies or is late is forecast by the safe members. */
  async forecast(requests: readonly ForecastRequest[], nowMs: number): Promise<Forecast[]> {
    const slices: ForecastRequest[][] = [];
    for (let i = 0; i < requests.length; i += SLICE) slices.push(requests.slice(i, i + SLICE));
    const results = await Promise.all(slices.map((slice) => this.#slice(slice, nowMs)));
    return results.flat();
  }

  async #slice(requests: readonly ForecastRequest[], nowMs: number): Promise<Forecast[]> {
    const { timeLimitMs = DEFAULT_TIME_LIMIT_MS, logger } = this.#options;
    try {
      return await this.#run({ requests, nowMs }, timeLimitMs);
    } catch (error) {
      logger.warn(
        { code: 'TG_FORECAST_WORKER', reason: messageOf(error) },
        'a forecast worker failed; safe models instead',
      );
      return this.#run(
        {
          requests: requests.map((request) => ({ ...request, models: SAFE_MODELS, catchUpOrigins: 0 })),
          nowMs,
        },
        timeLimitMs + THREAD_START_MS,
      );
    }
  }

  async #run(task: ForecastTask, timeLimitMs: number): Promise<Forecast[]> {
    if (!this.#pool) throw new Error('the forecast pool is not started');
    return (await this.#pool.run(task, {
      name: 'forecast',
      signal: AbortSignal.timeout(timeLimitMs),
    })) as Forecast[];
  }
}
