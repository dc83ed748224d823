import { ErrorScale } from './error-scale.js';
import { Nowcast } from './nowcast.js';

const POOL_DAYS = 20;
const REFRESH_HOURS = 1;

/**
 * The forecast of one horizon with quantiles from its own realised errors: f + s·Q(τ), where s is the local error
 * scale and Q the empirical quantile of the last twenty days' standardised errors. Call {@link NearFuture.at} with
 * ascending, consecutive t.
 */
export class NearFuture {
  readonly #y: Float64Array;
  readonly #horizon: number;
  readonly #stepsPerDay: number;
  readonly #nowcast: Nowcast;
  readonly #scale: ErrorScale;
  /** By target step. */
  readonly #forecast: Float64Array;
  readonly #scaleOf: Float64Array;
  readonly #standardised: Float64Array;
  #sorted = new Float64Array(0);
  #sortedAt = Number.NEGATIVE_INFINITY;

  /** @param first the first origin; about twenty days of forecasts before the first used band make the bands mean what they say */
  constructor(y: Float64Array, first: number, options: { horizon: number; stepsPerDay: number }) {
    this.#y = y;
    this.#horizon = options.horizon;
    this.#stepsPerDay = options.stepsPerDay;
    this.#nowcast = new Nowcast(y, first, options);
    this.#scale = new ErrorScale(options.stepsPerDay);
    this.#forecast = new Float64Array(y.length + options.horizon).fill(Number.NaN);
    this.#scaleOf = new Float64Array(y.length + options.horizon).fill(Number.NaN);
    this.#standardised = new Float64Array(y.length).fill(Number.NaN);
  }

  /** Learns y[t] and forecasts y[t + horizon]. */
  at(t: number): { readonly forecast: number; readonly scale: number } {
    const said = this.#forecast[t]!;
    if (!Number.isNaN(said)) {
      const error = this.#y[t]! - said;
      this.#standardised[t] = error / this.#scaleOf[t]!;
      this.#scale.realised(t, error);
    }
    const target = t + this.#horizon;
    const forecast = this.#nowcast.at(t);
    const scale = this.#scale.at(target, forecast);
    this.#forecast[target] = forecast;
    this.#scaleOf[target] = scale;
    if (t - this.#sortedAt >= (REFRESH_HOURS * this.#stepsPerDay) / 24) {
      const from = Math.max(0, t + 1 - POOL_DAYS * this.#stepsPerDay);
      this.#sorted = this.#standardised
        .subarray(from, t + 1)
        .filter((z) => !Number.isNaN(z))
        .sort();
      this.#sortedAt = t;
    }
    return { forecast, scale };
  }

  /** The standardised error that a share τ of the realised ones stayed below. */
  quantile(tau: number): number {
    const sorted = this.#sorted;
    if (sorted.length === 0) return 3;
    return sorted[Math.min(sorted.length - 1, Math.ceil(tau * sorted.length) - 1)]!;
  }
}
