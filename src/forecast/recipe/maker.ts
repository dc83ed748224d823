import { meanOf, median } from '../../base/statistics.js';
import { errorScale, scaledQuantile, trackerStep, widened } from './bands.js';
import { bucketEnds, combineByBucket } from './combine.js';
import { memberPaths } from './members.js';
import { priorScore } from './prior-scores.js';
import { type BucketRecord, digestOf, type TrackRecord } from './record.js';
import { followSurge, surgeLevel } from './surge.js';

export interface MakeOptions {
  /** Steps of the shortest season. */
  readonly day: number;
  readonly horizon: number;
  /** Ascending levels in (0, 1). */
  readonly quantiles: readonly number[];
  /** Restricts the recipe's members; absent = all. */
  readonly wanted?: ReadonlySet<string>;
  /** What is known to repeat from, where `history` was brought to a new level; absent = `history`. */
  readonly asObserved?: Float64Array;
  /** Paths of further members. */
  readonly extra?: ReadonlyMap<string, Float64Array>;
}

/** A forecast, and what is needed to judge it later. */
export interface MadeForecast {
  readonly ends: readonly number[];
  readonly paths: ReadonlyMap<string, Float64Array>;
  readonly naive: Float64Array;
  readonly median: Float64Array;
  readonly quantiles: readonly Float64Array[];
  /** By bucket, best first. */
  readonly chosen: readonly (readonly string[])[];
  /** Typical error by bucket when it was made. */
  readonly scales: readonly number[];
}

/** Errors beyond so many scales say no more than that one was enormous. */
const FURTHEST = 30;
/**
 * With fewer realised origins than this, errors are told in scales of a time when hardly anything was known, and a band
 * may come out a hundred times too wide: then it ends at so many times the highest value seen.
 */
const YOUNG_ORIGINS = 14;
const YOUNG_CEILING = 2;
/** A day that repeats with less than this share of the error of a level makes levels hopeless. */
const SEASONAL_RATIO = 0.7;
const LEVELS = new Set(['l1h', 'l6h', 'l1d', 'l7d']);

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

/**
 * How much worse than usual levels are to be expected on this series: 1 where the season is no help, more where it
 * repeats well. Told from the last week alone.
 */
function levelHandicap(y: Float64Array, season: number, naiveError: number): number {
  const last = y.subarray(Math.max(0, y.length - 7 * season));
  if (y.length < 2 * season || !(naiveError > 0)) return 1;
  const middle = median(last);
  const spread = last.reduce((sum, value) => sum + Math.abs(value - middle), 0) / last.length;
  return Math.max(1, (SEASONAL_RATIO * spread) / naiveError);
}

/** The last season again; the last value where there is no whole season. */
export const repeatSeason = (y: Float64Array, season: number, horizon: number): Float64Array =>
  Float64Array.from({ length: horizon }, (_, i) =>
    y.length >= season ? y[y.length - season + (i % season)]! : (y.at(-1) ?? 0),
  );

/**
 * Forecasts from a history without gaps and the record of earlier forecasts: members, choice by bucket, bands.
 * Pure: the same inputs give the same forecast, so a past forecast can be made again.
 *
 * @param record realised before the end of the history
 */
export function makeForecast(history: Float64Array, record: TrackRecord, options: MakeOptions): MadeForecast {
  const { day, horizon, quantiles: levels, wanted, extra } = options;
  const ends = bucketEnds(day, horizon);
  const paths = memberPaths(history, day, horizon, wanted);
  for (const [name, path] of extra ?? []) paths.set(name, path);
  const naive = repeatSeason(options.asObserved ?? history, day, horizon);
  if (paths.size === 0) paths.set('snd', naive);
  const naiveError = seasonalNaiveError(history, day);
  const handicap = levelHandicap(history, day, naiveError);
  const { path: combined, chosen } = combineByBucket(
    paths,
    record,
    ends,
    (name, b) => priorScore(name, day, b, ends.length) * (b > 0 && LEVELS.has(name) ? handicap : 1),
  );
  const surge = surgeLevel(history, day, naiveError);
  const path = surge === undefined ? combined : followSurge(combined, paths, surge, ends[0]!);
  const nonNegative = history.every((value) => value >= 0);
  const level = meanOf(history.subarray(Math.max(0, history.length - day)).map(Math.abs));
  const scales = ends.map((_, b) => errorScale(record[b] ?? [], naiveError, level));
  let below: Float64Array | undefined;
  const highest = YOUNG_CEILING * history.reduce((top, value) => Math.max(top, value), 0);
  const quantiles = levels.map((q, l) => {
    const values = new Float64Array(horizon);
    for (const [b, end] of ends.entries()) {
      const past = record[b] ?? [];
      const ceiling = nonNegative && past.length < YOUNG_ORIGINS ? highest : Number.POSITIVE_INFINITY;
      const distance = scales[b]! * widened(scaledQuantile(past, q), past[0]?.widening[l] ?? 0);
      for (let i = b === 0 ? 0 : ends[b - 1]!; i < end; i += 1) {
        const free = nonNegative ? Math.max(0, path[i]! + distance) : path[i]! + distance;
        const value = Math.min(free, Math.max(ceiling, path[i]!));
        values[i] = below === undefined ? value : Math.max(below[i]!, value);
      }
    }
    below = values;
    return values;
  });
  return { ends, paths, naive, median: path, quantiles, chosen, scales };
}

/**
 * What a forecast turned out to be worth in bucket `b`; `undefined` when nothing of it was observed.
 *
 * @param actual what came, from the first step of the horizon on, NaN where nothing was observed
 * @param before the newest record of the same bucket
 */
export function realise(
  made: MadeForecast,
  b: number,
  actual: Float64Array,
  origin: number,
  levels: readonly number[],
  before: BucketRecord | undefined,
): BucketRecord | undefined {
  const begin = b === 0 ? 0 : made.ends[b - 1]!;
  const end = made.ends[b]!;
  const seen: number[] = [];
  for (let i = begin; i < end; i += 1) if (!Number.isNaN(actual[i] ?? Number.NaN)) seen.push(i);
  if (seen.length === 0) return undefined;
  const meanOver = (of: (i: number) => number): number =>
    seen.reduce((sum, i) => sum + of(i), 0) / seen.length;
  const errorOf = (path: Float64Array): number => meanOver((i) => Math.abs(actual[i]! - path[i]!));
  // Repeating the season is what every forecast is compared with, also where it is no member.
  const judged = new Map(made.paths).set('snd', made.naive);
  const missed = made.quantiles.map((path) => meanOver((i) => (actual[i]! > path[i]! ? 1 : 0)));
  return {
    origin,
    members: [...judged.keys()],
    errors: [...judged.values()].map(errorOf),
    meanAbsolute: errorOf(made.median),
    meanActual: meanOver((i) => Math.abs(actual[i]!)),
    standardised: digestOf(
      seen.map((i) =>
        Math.max(-FURTHEST, Math.min(FURTHEST, (actual[i]! - made.median[i]!) / made.scales[b]!)),
      ),
    ),
    count: seen.length,
    missed,
    widening: levels.map((q, l) => trackerStep(before?.widening[l] ?? 0, missed[l]!, q)),
  };
}

/** A forecast during events: every path is what it would be without them, times what they do. */
export function multiplied(made: MadeForecast, factors: Float64Array): MadeForecast {
  if (factors.every((factor) => factor === 1)) return made;
  const times = (path: Float64Array): Float64Array => path.map((value, i) => value * factors[i]!);
  return {
    ...made,
    paths: new Map([...made.paths].map(([name, path]) => [name, times(path)])),
    naive: times(made.naive),
    median: times(made.median),
    quantiles: made.quantiles.map(times),
  };
}
