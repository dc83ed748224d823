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

/** Normal equations of `x_t = Σ β_l x_{t-l} + β_0` with a ridge; `lags` ascending. */
function estimate(
  x: Float64Array,
  lags: readonly number[],
  lambda: number,
  intercept: number,
): Float64Array | undefined {
  const p = lags.length + 1;
  const first = lags.at(-1)!;
  const rows = x.length - first;
  const products = new LagProducts(x, first);
  const a = new Float64Array(p * p);
  const b = new Float64Array(p);
  for (let i = 0; i < p - 1; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      const product = products.of(lags[j]!, lags[i]!);
      a[i * p + j] = product;
      a[j * p + i] = product;
    }
    a[i * p + i]! += lambda;
    b[i] = products.of(0, lags[i]!);
    const sum = sumOf(x, first - lags[i]!, x.length - lags[i]!);
    a[i * p + p - 1] = sum;
    a[(p - 1) * p + i] = sum;
  }
  a[p * p - 1] = rows + intercept;
  b[p - 1] = sumOf(x, first, x.length);
  return solveCholesky(a, b);
}

function sumOf(x: Float64Array, from: number, to: number): number {
  let sum = 0;
  for (let t = from; t < to; t += 1) sum += x[t]!;
  return sum;
}

/** Σ x_u x_{u-gap} over `from` ≤ u < `to`; four sums at once, which the processor adds up side by side. */
function dot(x: Float64Array, gap: number, from: number, to: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let u = from;
  for (; u + 3 < to; u += 4) {
    s0 += x[u]! * x[u - gap]!;
    s1 += x[u + 1]! * x[u + 1 - gap]!;
    s2 += x[u + 2]! * x[u + 2 - gap]!;
    s3 += x[u + 3]! * x[u + 3 - gap]!;
  }
  for (; u < to; u += 1) s0 += x[u]! * x[u - gap]!;
  return s0 + s1 + s2 + s3;
}

/**
 * Sums of x_{t-i} x_{t-j} over t ≥ `first`. Two pairs of lags with the same distance see nearly the same products: what
 * differs is at the ends, so only the first pair of each distance is summed in full.
 */
class LagProducts {
  readonly #x: Float64Array;
  readonly #first: number;
  /** By distance: the nearer lag of the pair that was summed, and its sum. */
  readonly #known = new Map<number, { readonly lag: number; readonly sum: number }>();

  constructor(x: Float64Array, first: number) {
    this.#x = x;
    this.#first = first;
  }

  /** @param near at most `far`, which is at most `first` */
  of(near: number, far: number): number {
    const x = this.#x;
    const gap = far - near;
    const begin = this.#first - near;
    const end = x.length - near;
    const known = this.#known.get(gap);
    if (known === undefined || 2 * Math.abs(near - known.lag) >= end - begin) {
      const sum = dot(x, gap, begin, end);
      if (known === undefined) this.#known.set(gap, { lag: near, sum });
      return sum;
    }
    const moved = near - known.lag;
    const knownBegin = begin + moved;
    const knownEnd = end + moved;
    return moved >= 0
      ? known.sum + dot(x, gap, begin, knownBegin) - dot(x, gap, end, knownEnd)
      : known.sum - dot(x, gap, knownBegin, begin) + dot(x, gap, knownEnd, end);
  }
}
