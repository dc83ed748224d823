import { errorScale, type RealisedBucket, scaledQuantile, trackerStep, widened } from './bands.js';
import { bucketEnds, combineByBucket, errorsAt, type OriginErrors } from './combine.js';
import { memberPaths } from './members.js';

export interface RollingOptions {
  readonly day: number;
  readonly horizon: number;
  /** First step that may be an origin. */
  readonly first: number;
  readonly stride: number;
  readonly quantiles: readonly number[];
  /** Restricts the members. */
  readonly models?: readonly string[];
}

/** One forecast of a rolling origin, made from values before `origin` only. */
export interface RollingForecast {
  readonly origin: number;
  readonly median: Float64Array;
  readonly quantiles: readonly Float64Array[];
  readonly chosen: readonly (readonly string[])[];
  readonly naive: Float64Array;
}

interface Pending {
  readonly origin: number;
  readonly paths: ReadonlyMap<string, Float64Array>;
  readonly median: Float64Array;
  readonly scales: readonly number[];
  readonly quantiles: readonly Float64Array[];
  readonly realised: boolean[];
}

/**
 * Replays the life of one series: at every origin a forecast and its bands, made by members that earlier realised
 * errors chose and calibrated by earlier realised errors. Nothing at or after an origin is used for it.
 *
 * @param filled values without gaps, each gap filled from its own past
 * @param actual the same with NaN where nothing was observed
 */
export function* rollForward(
  filled: Float64Array,
  actual: Float64Array,
  options: RollingOptions,
): Generator<RollingForecast> {
  const { day, horizon, quantiles: levels, models } = options;
  const ends = bucketEnds(day, horizon);
  const past: OriginErrors[][] = ends.map(() => []);
  const realised: RealisedBucket[][] = ends.map(() => []);
  const theta = levels.map(() => ends.map(() => 0));
  const pending: Pending[] = [];

  const realise = (now: number): void => {
    for (const p of pending) {
      for (const [b, end] of ends.entries()) {
        if (p.realised[b] || p.origin + end > now) continue;
        p.realised[b] = true;
        const begin = b === 0 ? 0 : ends[b - 1]!;
        past[b]!.unshift(errorsAt(p.paths, actual.subarray(p.origin, p.origin + end), ends.slice(0, b + 1)));
        const scaled: number[] = [];
        let sum = 0;
        const misses = levels.map(() => 0);
        for (let i = begin; i < end; i += 1) {
          const value = actual[p.origin + i]!;
          if (Number.isNaN(value)) continue;
          const error = value - p.median[i]!;
          scaled.push(error / p.scales[b]!);
          sum += Math.abs(error);
          for (let l = 0; l < levels.length; l += 1) if (value > p.quantiles[l]![i]!) misses[l]! += 1;
        }
        if (scaled.length === 0) continue;
        realised[b]!.unshift({ scaled: Float64Array.from(scaled), meanAbsolute: sum / scaled.length });
        for (let l = 0; l < levels.length; l += 1) {
          theta[l]![b] = trackerStep(theta[l]![b]!, misses[l]! / scaled.length, levels[l]!);
        }
      }
    }
    while (pending[0]?.realised.every(Boolean)) pending.shift();
  };

  for (let origin = options.first; origin + horizon <= filled.length; origin += options.stride) {
    realise(origin);
    const history = filled.subarray(0, origin);
    const all = memberPaths(history, day, horizon);
    const paths = models === undefined ? all : new Map([...all].filter(([name]) => models.includes(name)));
    const naive = Float64Array.from({ length: horizon }, (_, i) => filled[origin - day + (i % day)]!);
    if (paths.size === 0) paths.set('snd', naive);
    const { path, chosen } = combineByBucket(paths, past, ends);
    const nonNegative = history.every((value) => value >= 0);
    const naiveError = seasonalNaiveError(history, day);
    const scales = ends.map((_, b) => errorScale(realised[b]!, naiveError));
    let below: Float64Array | undefined;
    const quantiles = levels.map((q, l) => {
      const values = new Float64Array(horizon);
      for (const [b, end] of ends.entries()) {
        const distance = scales[b]! * widened(scaledQuantile(realised[b]!, q), theta[l]![b]!);
        for (let i = b === 0 ? 0 : ends[b - 1]!; i < end; i += 1) {
          const value = nonNegative ? Math.max(0, path[i]! + distance) : path[i]! + distance;
          values[i] = below === undefined ? value : Math.max(below[i]!, value);
        }
      }
      below = values;
      return values;
    });
    pending.push({ origin, paths, median: path, scales, quantiles, realised: ends.map(() => false) });
    yield { origin, median: path, quantiles, chosen, naive };
  }
}

/** Mean absolute difference between a value and the one a season before, over the last 28 seasons. */
export function seasonalNaiveError(y: Float64Array, season: number): number {
  let sum = 0;
  let count = 0;
  for (let t = Math.max(season, y.length - 28 * season); t < y.length; t += 1) {
    sum += Math.abs(y[t]! - y[t - season]!);
    count += 1;
  }
  return count > 0 ? sum / count : 0;
}
