import { solveCholesky } from '../cholesky.js';

export interface ArOptions {
  readonly lags: readonly number[];
  /** Seasonal difference in steps; 0 = none, the mean is taken off instead. */
  readonly difference: number;
  readonly lambda: number;
  readonly log: boolean;
}

/**
 * Ridge autoregression iterated to the horizon (Hoerl and Kennard, 1970), on values, logs or seasonal differences.
 * The path stays within 15 % beyond the range seen. `undefined` when the history is too short for the lags.
 */
export function iteratedAr(y: Float64Array, horizon: number, options: ArOptions): Float64Array | undefined {
  const { difference, lambda, log } = options;
  const n = y.length;
  const lags = options.lags.filter((lag) => lag > 0 && lag <= 0.55 * n - difference);
  const longest = lags.at(-1) ?? 0;
  const p = lags.length + 1;
  if (lags.length < 3 || n - difference - longest < 1.5 * p) return undefined;
  let min = Number.POSITIVE_INFINITY;
  for (const value of y) min = Math.min(min, value);
  const shift = min > 0 ? 0 : 1 - min;
  const z = log ? y.map((value) => Math.log(value + shift)) : y;
  const m = n - difference;
  let mean = 0;
  if (difference === 0) for (const value of z) mean += value / n;
  const x = new Float64Array(m + horizon);
  let power = 0;
  for (let t = 0; t < m; t += 1) {
    x[t] = difference > 0 ? z[t + difference]! - z[t]! : z[t]! - mean;
    power += x[t]! ** 2 / m;
  }
  const scale = Math.sqrt(power);
  if (!(scale > 0) || !Number.isFinite(scale)) return undefined;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let t = 0; t < m; t += 1) {
    x[t]! /= scale;
    low = Math.min(low, x[t]!);
    high = Math.max(high, x[t]!);
  }
  const beta = estimate(x.subarray(0, m), lags, lambda, difference > 0 ? 10 * lambda : 1e-6);
  if (beta === undefined) return undefined;
  const margin = 0.15 * (high - low);
  for (let t = m; t < m + horizon; t += 1) {
    let sum = beta[p - 1]!;
    for (let i = 0; i < p - 1; i += 1) sum += beta[i]! * x[t - lags[i]!]!;
    x[t] = Math.min(high + margin, Math.max(low - margin, sum));
  }
  const path = new Float64Array(horizon);
  for (let i = 0; i < horizon; i += 1) {
    const value = x[m + i]! * scale;
    if (difference === 0) path[i] = value + mean;
    else path[i] = value + (i < difference ? z[n - difference + i]! : path[i - difference]!);
  }
  return log ? path.map((value) => Math.exp(value) - shift) : path;
}

/** Normal equations of `x_t = Σ β_l x_{t-l} + β_0` with a ridge. */
function estimate(
  x: Float64Array,
  lags: readonly number[],
  lambda: number,
  intercept: number,
): Float64Array | undefined {
  const p = lags.length + 1;
  const a = new Float64Array(p * p);
  const b = new Float64Array(p);
  const row = new Float64Array(p);
  row[p - 1] = 1;
  for (let t = lags.at(-1)!; t < x.length; t += 1) {
    for (let i = 0; i < p - 1; i += 1) row[i] = x[t - lags[i]!]!;
    for (let i = 0; i < p; i += 1) {
      const value = row[i]!;
      b[i]! += value * x[t]!;
      for (let j = 0; j <= i; j += 1) a[i * p + j]! += value * row[j]!;
    }
  }
  for (let i = 0; i < p; i += 1) {
    for (let j = 0; j < i; j += 1) a[j * p + i] = a[i * p + j]!;
    a[i * p + i]! += i === p - 1 ? intercept : lambda;
  }
  return solveCholesky(a, b);
}
