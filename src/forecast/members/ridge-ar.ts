import type { Forecaster } from '../types.js';

/** Solves A x = b for a symmetric positive definite A (row-major, n × n) by Cholesky; `undefined` if it is not. */
export function solveCholesky(a: Float64Array, b: Float64Array): Float64Array | undefined {
  const n = b.length;
  const l = new Float64Array(n * n);
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let sum = a[i * n + j]!;
      for (let k = 0; k < j; k += 1) sum -= l[i * n + k]! * l[j * n + k]!;
      if (i !== j) l[i * n + j] = sum / l[j * n + j]!;
      else if (sum <= 0 || !Number.isFinite(sum)) return undefined;
      else l[i * n + i] = Math.sqrt(sum);
    }
  }
  const x = Float64Array.from(b);
  for (let i = 0; i < n; i += 1) {
    for (let k = 0; k < i; k += 1) x[i]! -= l[i * n + k]! * x[k]!;
    x[i]! /= l[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let k = i + 1; k < n; k += 1) x[i]! -= l[k * n + i]! * x[k]!;
    x[i]! /= l[i * n + i]!;
  }
  return x;
}

/** Lags that carry the near past and the same time one and two seasons ago. */
function lagsFor(seasons: readonly number[], length: number): number[] {
  const lags = new Set([1, 2, 3, 4, 5, 6, 9, 12]);
  for (const season of seasons) {
    for (const near of [-2, -1, 0, 1, 2]) {
      lags.add(season + near);
      lags.add(2 * season + near);
    }
    lags.add(3 * season);
  }
  return [...lags].filter((lag) => lag > 0 && lag <= 0.55 * length).sort((a, b) => a - b);
}

/**
 * Linear autoregression with a ridge penalty, iterated to the horizon: `x_t = Σ β_l x_{t-l} + β_0`, by the normal
 * equations. With `log`, on ln(y + shift): median-unbiased and right for loads that scale. The iterated path is kept
 * within 15 % beyond the range of the history.
 *
 * @param lambda ridge penalty on series of unit root mean square (Hoerl and Kennard, 1970)
 */
export const ridgeAr = (lambda: number, log: boolean): Forecaster => ({
  name: log ? 'ridgeArLog' : 'ridgeAr',
  forecast(history, horizon, { seasonSteps }) {
    const n = history.length;
    const lags = lagsFor(seasonSteps, n);
    const longest = lags.at(-1);
    const p = lags.length + 1;
    if (longest === undefined || lags.length < 3 || n - longest < 1.5 * p) return undefined;
    let min = Number.POSITIVE_INFINITY;
    for (const value of history) min = Math.min(min, value);
    const shift = min > 0 ? 0 : 1 - min;
    const z = log ? history.map((value) => Math.log(value + shift)) : history;
    let mean = 0;
    for (const value of z) mean += value / n;
    let power = 0;
    for (const value of z) power += (value - mean) ** 2 / n;
    const scale = Math.sqrt(power);
    if (!(scale > 0) || !Number.isFinite(scale)) return undefined;
    const x = new Float64Array(n + horizon);
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let t = 0; t < n; t += 1) {
      x[t] = (z[t]! - mean) / scale;
      low = Math.min(low, x[t]!);
      high = Math.max(high, x[t]!);
    }
    const a = new Float64Array(p * p);
    const b = new Float64Array(p);
    const row = new Float64Array(p);
    row[p - 1] = 1;
    for (let t = longest; t < n; t += 1) {
      for (let i = 0; i < lags.length; i += 1) row[i] = x[t - lags[i]!]!;
      for (let i = 0; i < p; i += 1) {
        const ri = row[i]!;
        b[i]! += ri * x[t]!;
        for (let j = 0; j <= i; j += 1) a[i * p + j]! += ri * row[j]!;
      }
    }
    for (let i = 0; i < p; i += 1) {
      for (let j = 0; j < i; j += 1) a[j * p + i] = a[i * p + j]!;
      a[i * p + i]! += i === p - 1 ? 1e-6 : lambda;
    }
    const beta = solveCholesky(a, b);
    if (beta === undefined) return undefined;
    const margin = 0.15 * (high - low);
    for (let t = n; t < n + horizon; t += 1) {
      let sum = beta[p - 1]!;
      for (let i = 0; i < lags.length; i += 1) sum += beta[i]! * x[t - lags[i]!]!;
      x[t] = Math.min(high + margin, Math.max(low - margin, sum));
    }
    return x.subarray(n).map((value) => {
      const back = value * scale + mean;
      return log ? Math.exp(back) - shift : back;
    });
  },
});
