import { type BucketRecord, shareAtMost } from './record.js';

/** Realised origins that scale and distribution are taken from. */
const OWN = 56;
const SCALE_HALF_LIFE = 10;
const SCALE_ORIGINS = 40;
/** Origins' worth of a Laplace distribution of unit mean error that own errors are mixed with. */
const PRIOR_ORIGINS = 4;

/** A series without any error so far still has a unit for the next one. */
const SMALLEST_SCALE = 1e-12;

/** Typical absolute error now: decayed mean of the past's, drawn to 0.7 of the naive forecast's error while young. */
export function errorScale(past: readonly BucketRecord[], naiveError: number): number {
  let sum = 0.5 * 0.7 * naiveError;
  let weights = 0.5;
  for (const [age, bucket] of past.slice(0, SCALE_ORIGINS).entries()) {
    const weight = 0.5 ** (age / SCALE_HALF_LIFE);
    sum += weight * bucket.meanAbsolute;
    weights += weight;
  }
  return Math.max(sum / weights, SMALLEST_SCALE);
}

const laplaceShare = (value: number): number => (value < 0 ? Math.exp(value) / 2 : 1 - Math.exp(-value) / 2);
const laplaceQuantile = (q: number): number => (q < 0.5 ? Math.log(2 * q) : -Math.log(2 * (1 - q)));

/** Quantile of past standardised errors (each origin weighs 1) mixed with the prior. `past` newest first. */
export function scaledQuantile(past: readonly BucketRecord[], q: number): number {
  const own = past.slice(0, OWN);
  const prior = laplaceQuantile(q);
  if (own.length === 0) return prior;
  const excess = (value: number): number => {
    let share = PRIOR_ORIGINS * laplaceShare(value);
    for (const bucket of own) share += shareAtMost(bucket, value);
    return share - q * (PRIOR_ORIGINS + own.length);
  };
  let low = prior;
  let high = prior;
  for (const { standardised } of own) {
    low = Math.min(low, standardised[0]!);
    high = Math.max(high, standardised.at(-1)!);
  }
  // The mixture is monotone, so halving finds the value; every digest is a staircase of at most 24 steps.
  for (let i = 0; i < 40 && high - low > 1e-4 * (1 + Math.abs(high)); i += 1) {
    const middle = (low + high) / 2;
    if (excess(middle) >= 0) high = middle;
    else low = middle;
  }
  return high;
}

/** Speed at which the width follows misses, by level: extreme levels see few misses and must react to each. */
export const trackerSpeed = (q: number): number => (q >= 0.98 ? 0.5 : 0.05);
const TRACKER_BOUNDS = [-1.5, 2] as const;

/** Adaptive conformal step (Gibbs and Candès, 2021) on the logarithm of the width. */
export const trackerStep = (theta: number, missRate: number, q: number): number =>
  Math.min(TRACKER_BOUNDS[1], Math.max(TRACKER_BOUNDS[0], theta + trackerSpeed(q) * (missRate - (1 - q))));

/** Distance of the quantile from the forecast, in scales, after the tracker's widening. */
export const widened = (quantile: number, theta: number): number =>
  quantile > 0
    ? quantile * Math.exp(theta)
    : quantile + Math.max(Math.abs(quantile), 0.3) * (Math.exp(theta) - 1);
