/** Realised origins that scale and distribution are taken from. */
const OWN = 56;
const SCALE_HALF_LIFE = 10;
const SCALE_ORIGINS = 40;
/** Origins' worth of a Laplace distribution of unit mean error that own errors are mixed with. */
const PRIOR_ORIGINS = 4;
const PRIOR_POINTS = 400;

/** What one past forecast turned out to miss in one bucket: errors (actual − forecast) by their scale then. */
export interface RealisedBucket {
  readonly scaled: Float64Array;
  readonly meanAbsolute: number;
}

/** Typical absolute error now: decayed mean of the past's, drawn to 0.7 of the naive forecast's error while young. */
export function errorScale(past: readonly RealisedBucket[], naiveError: number): number {
  let sum = 0.5 * 0.7 * naiveError;
  let weights = 0.5;
  for (const [age, bucket] of past.slice(0, SCALE_ORIGINS).entries()) {
    const weight = 0.5 ** (age / SCALE_HALF_LIFE);
    sum += weight * bucket.meanAbsolute;
    weights += weight;
  }
  return Math.max(sum / weights, Number.MIN_VALUE);
}

const laplace = (q: number): number => (q < 0.5 ? Math.log(2 * q) : -Math.log(2 * (1 - q)));

/** Quantile of past scaled errors (each origin weighs 1) mixed with the prior. `past` newest first. */
export function scaledQuantile(past: readonly RealisedBucket[], q: number): number {
  const values: { value: number; weight: number }[] = [];
  for (let k = 0; k < PRIOR_POINTS; k += 1) {
    values.push({ value: laplace((k + 0.5) / PRIOR_POINTS), weight: PRIOR_ORIGINS / PRIOR_POINTS });
  }
  let total = PRIOR_ORIGINS;
  for (const bucket of past.slice(0, OWN)) {
    if (bucket.scaled.length === 0) continue;
    total += 1;
    for (const value of bucket.scaled) values.push({ value, weight: 1 / bucket.scaled.length });
  }
  values.sort((a, b) => a.value - b.value);
  let sum = 0;
  for (const { value, weight } of values) {
    sum += weight;
    if (sum >= q * total) return value;
  }
  return values.at(-1)!.value;
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
