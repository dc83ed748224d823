import { DirectRidge } from './direct-ridge.js';

export interface NowcastOptions {
  /** Steps ahead that are forecast. */
  readonly horizon: number;
  readonly stepsPerDay: number;
}

const MEMBERS = ['raw', 'log', 'rawLong', 'logLong', 'persistence', 'recentMean', 'seasonalStep'] as const;
/** How sharply the better members are preferred, over how many days, re-weighed every so many hours. */
const POWER = 6;
const JUDGED_DAYS = 3;
const REWEIGH_HOURS = 3;

/**
 * The near future of one series, step after step: seven simple members, weighted by (best error / own error)⁶ over
 * the last three days. Every forecast uses the past only. Call {@link Nowcast.at} with ascending t.
 */
export class Nowcast {
  readonly #y: Float64Array;
  readonly #options: NowcastOptions;
  readonly #ridges: readonly DirectRidge[];
  /** What each member said about step t, by member. */
  readonly #said: readonly Float64Array[];
  #weights: Float64Array | undefined;
  #weighedAt = Number.NEGATIVE_INFINITY;

  /** @param first the first origin that will be asked for: what precedes it is history */
  constructor(y: Float64Array, first: number, options: NowcastOptions) {
    this.#y = y;
    this.#options = options;
    const ridgeOf = (log: boolean, windowDays: number, halfLifeDays: number): DirectRidge =>
      new DirectRidge({ ...options, log, windowDays, halfLifeDays }, first);
    this.#ridges = [
      ridgeOf(false, 14, 5),
      ridgeOf(true, 14, 5),
      ridgeOf(false, 28, 14),
      ridgeOf(true, 28, 14),
    ];
    this.#said = MEMBERS.map(() => new Float64Array(y.length + options.horizon).fill(Number.NaN));
  }

  /** The forecast of y[t + horizon] from y[0…t]. */
  at(t: number): number {
    const y = this.#y;
    const h = this.#options.horizon;
    const d = this.#options.stepsPerDay;
    const target = t + h;
    for (const [m, model] of this.#ridges.entries()) {
      this.#said[m]![target] = model.forecast(y, t) ?? y[t]!;
    }
    const recent = Math.min(6, t + 1);
    let sum = 0;
    for (let k = 0; k < recent; k += 1) sum += y[t - k]!;
    this.#said[4]![target] = y[t]!;
    this.#said[5]![target] = sum / recent;
    this.#said[6]![target] = target >= d && t >= d ? y[t]! + y[target - d]! - y[t - d]! : y[t]!;
    if (t - this.#weighedAt >= (REWEIGH_HOURS * d) / 24) this.#weigh(t);
    let forecast = 0;
    for (let m = 0; m < MEMBERS.length; m += 1) {
      forecast += this.#weights![m]! * Math.max(0, this.#said[m]![target]!);
    }
    return forecast;
  }

  #weigh(t: number): void {
    const from = Math.max(0, t - JUDGED_DAYS * this.#options.stepsPerDay);
    const errors = this.#said.map((said) => {
      let sum = 0;
      let count = 0;
      for (let i = from; i <= t; i += 1) {
        if (Number.isNaN(said[i]!)) continue;
        sum += Math.abs(said[i]! - this.#y[i]!);
        count += 1;
      }
      return count > 0 ? sum / count : 0;
    });
    const best = Math.min(...errors);
    const raw = errors.map((error) => (error > 0 ? (Math.max(best, 1e-12 * error) / error) ** POWER : 1));
    const total = raw.reduce((a, b) => a + b, 0);
    this.#weights = Float64Array.from(raw, (weight) => weight / total);
    this.#weighedAt = t;
  }
}
