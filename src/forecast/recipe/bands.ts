import { type BucketRecord, shareAtMost } from './record.js';

/** Realised origins that scale and distribution are taken from. */
const OWN = 56;
const SCALE_HALF_LIFE = 5;
const SCALE_ORIGINS = 40;
/** Origins' worth of a Laplace distribution of unit mean error that own errors are mixed with. */
const PRIOR_ORIGINS = 2;
/** An origin counts half in the distribution for so many that are newer. */
const SHAPE_HALF_LIFE = 15;

/** Errors of less than this share of the level are no unit to measure later ones by. */
const LEAST_SHARE = 0.005;
const SMALLEST_SCALE = 1e-12;

/**
 * Typical absolute error now: decayed mean of the past's, drawn to 0.7 of the naive forecast's error while young.
 *
 * @param level mean absolute value of the series lately
 */
export function errorScale(past: readonly BucketRecord[], naiveError: number, level: number): number {
  let sum = 0.5 * 0.7 * naiveError;
  let weights = 0.5;
  for (const [age, bucket] of past.slice(0, SCALE_ORIGINS).entries()) {
    const weight = 0.5 ** (age / SCALE_HALF_LIFE);
    sum += weight * bucket.meanAbsolute;
    weights += weight;
  }
  return Math.max(sum / weights, LEAST_SHARE * level, SMALLEST_SCALE);
}

const laplaceShare = (value: number): number => (value < 0 ? Math.exp(value) / 2 : 1 - Math.exp(-value) / 2);
const laplaceQuantile = (q: number): number => (q < 0.5 ? Math.log(2 * q) : -Math.log(2 * (1 - q)));

/** Quantile of past standardised errors, newer origins heavier, mixed with the prior. `past` newest first. */
export function scaledQuantile(past: readonly BucketRecord[], q: number): number {
  const own = past.slice(0, OWN);
  const prior = laplaceQuantile(q);
  if (own.length === 0) return prior;
  const weights = own.map((_, age) => 0.5 ** (age / SHAPE_HALF_LIFE));
  const total = weights.reduce((sum, weight) => sum + weight, PRIOR_ORIGINS);
  const reaches = (value: number): boolean => {
    let share = PRIOR_ORIGINS * laplaceShare(value);
    for (const [i, bucket] of own.entries()) share += weights[i]! * shareAtMost(bucket, value);
    return share >= q * total;
  };
  let low = prior;
  let high = prior;
  for (const { standardised } of own) {
    low = Math.min(low, standardised[0]!);
    high = Math.max(high, standardised.at(-1)!);
  }
  // The mixture is monotone, so halving finds the value; every digest is a staircase of at most 24 steps.
  for (let i = 0; i < 40 && high - low > 1e-3 * (1 + Math.abs(high)); i += 1) {
    const middle = (low + high) / 2;
    if (reaches(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** How fast the width follows misses. */
const TRACKER_SPEED = 0.3;
const TRACKER_BOUNDS = [-1.5, 2] as const;

/** Adaptive conformal step (Gibbs and Candès, 2021) on the logarithm of the width. */
export const trackerStep = (theta: number, missRate: number, q: number): number =>
  Math.min(TRACKER_BOUNDS[1], Math.max(TRACKER_BOUNDS[0], theta + TRACKER_SPEED * (missRate - (1 - q))));

/** Distance of the quantile from the forecast, in scales, after the tracker's widening. */
export const widened = (quantile: number, theta: number): number =>
  quantile > 0
    ? quantile * Math.exp(theta)
    : quantile + Math.max(Math.abs(quantile), 0.3) * (Math.exp(theta) - 1);
