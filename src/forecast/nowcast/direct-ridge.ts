import { ridge, robustRidge } from './ridge.js';

export interface DirectRidgeOptions {
  /** Steps ahead. */
  readonly horizon: number;
  readonly stepsPerDay: number;
  readonly windowDays: number;
  readonly halfLifeDays: number;
  /** Fit on logarithms: proportional instead of absolute errors. */
  readonly log: boolean;
}

const LAMBDA = 2;
const SEASON_DAYS = [1, 2, 3, 7] as const;
const RECENT = 7;
const MINIMUM_ROWS = 64;

const meanOf = (z: Float64Array, from: number, to: number): number => {
  let sum = 0;
  for (let i = from; i <= to; i += 1) sum += z[i]!;
  return sum / (to - from + 1);
};

/** What the rule with the least squared and the one with the least absolute residuals say. */
export interface DirectForecast {
  readonly mean: number;
  readonly median: number;
}

interface Rules {
  readonly mean: Float64Array;
  readonly median: Float64Array;
}

/**
 * Forecasts y[t+h] directly, linear rules for one horizon: y[t+h] - y[t] on the last values, on means of the last two
 * hours, and on the same moments 1, 2, 3 and 7 days ago, before and after. Refitted once a day on the past alone.
 */
export class DirectRidge {
  readonly #options: DirectRidgeOptions;
  /** Furthest look-back. */
  readonly #longest: number;
  readonly #days: readonly number[];
  #z = new Float64Array(0);
  #rules: Rules | undefined;
  #fittedAt = -1;
  #mean = 0;
  #deviation = 1;
  #shift = 0;

  /** @param history how many values there are at the first fit: shorter histories use fewer seasonal days */
  constructor(options: DirectRidgeOptions, history: number) {
    this.#options = options;
    const d = options.stepsPerDay;
    this.#days = SEASON_DAYS.filter((k) => history >= (k + 2) * d + options.horizon);
    this.#longest = Math.max(25, ...this.#days.map((k) => k * d + 2));
  }

  get #width(): number {
    return RECENT + 2 * this.#days.length + 1;
  }

  /** y[t+h] from y[0…t]; undefined while there is too little history. */
  forecast(y: Float64Array, t: number): DirectForecast | undefined {
    if (this.#rules === undefined || t - this.#fittedAt >= this.#options.stepsPerDay) this.#fit(y, t);
    const rules = this.#rules;
    if (rules === undefined) return undefined;
    const reach = Math.max(0, t - this.#longest - 1);
    // Only the part that the features look at is transformed.
    for (let i = reach; i <= t; i += 1) this.#z[i] = this.#transform(y[i]!);
    const row = new Float64Array(this.#width);
    this.#features(t, row, 0);
    return { mean: this.#said(rules.mean, row, t), median: this.#said(rules.median, row, t) };
  }

  #said(beta: Float64Array, row: Float64Array, t: number): number {
    let z = this.#z[t]!;
    for (let i = 0; i < row.length; i += 1) z += row[i]! * beta[i]!;
    const value = z * this.#deviation + this.#mean;
    return this.#options.log ? Math.exp(Math.min(value, 700)) - this.#shift : value;
  }

  #transform(value: number): number {
    const v = this.#options.log ? Math.log(Math.max(value + this.#shift, 1e-300)) : value;
    return (v - this.#mean) / this.#deviation;
  }

  #fit(y: Float64Array, t: number): void {
    const { stepsPerDay: d, horizon, windowDays, halfLifeDays, log } = this.#options;
    const last = t - horizon;
    const first = Math.max(this.#longest, last - windowDays * d);
    const count = last - first + 1;
    if (count < MINIMUM_ROWS) return;
    if (this.#z.length < y.length) this.#z = new Float64Array(y.length);
    const from = first - this.#longest;
    this.#shift = log ? Math.max(1e-9, 0.01 * meanOf(y, from, t)) : 0;
    this.#mean = 0;
    this.#deviation = 1;
    for (let i = from; i <= t; i += 1) this.#z[i] = this.#transform(y[i]!);
    const recent = Math.max(from, t - 3 * d);
    const center = meanOf(this.#z, recent, t);
    let squares = 0;
    for (let i = recent; i <= t; i += 1) squares += (this.#z[i]! - center) ** 2;
    const deviation = Math.sqrt(squares / (t - recent + 1));
    this.#mean = center;
    this.#deviation = deviation > 0 ? deviation : 1;
    for (let i = from; i <= t; i += 1) this.#z[i] = (this.#z[i]! - this.#mean) / this.#deviation;

    const width = this.#width;
    const features = new Float64Array(count * width);
    const targets = new Float64Array(count);
    const weights = new Float64Array(count);
    for (let r = 0; r < count; r += 1) {
      const at = first + r;
      this.#features(at, features, r * width);
      targets[r] = this.#z[at + horizon]! - this.#z[at]!;
      weights[r] = 0.5 ** ((last - at) / (halfLifeDays * d));
    }
    const rows = { features, targets, weights, width };
    const mean = ridge(rows, LAMBDA);
    this.#rules = { mean, median: robustRidge(rows, LAMBDA, mean) };
    this.#fittedAt = t;
  }

  #features(t: number, out: Float64Array, at: number): void {
    const z = this.#z;
    const { stepsPerDay: d, horizon } = this.#options;
    let i = at;
    for (let k = 0; k < 4; k += 1) out[i++] = z[t - k]!;
    out[i++] = meanOf(z, t - 6, t - 4);
    out[i++] = meanOf(z, t - 12, t - 9);
    out[i++] = meanOf(z, t - 24, t - 21);
    for (const k of this.#days) {
      const after = Math.min(t + horizon - k * d, t - 1);
      out[i++] = (z[after - 1]! + z[after]! + z[after + 1]!) / 3;
      const before = t - k * d;
      out[i++] = (z[before - 1]! + z[before]! + z[before + 1]!) / 3;
    }
    out[i] = 1;
  }
}
