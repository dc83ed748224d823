import { bucketEnds } from './recipe/combine.js';
import { type MadeForecast, realise } from './recipe/maker.js';
import type { BucketRecord, NamedRecord, TrackRecord } from './recipe/record.js';

/** Origins that choice and bands look back at: four a season, fourteen seasons. */
export const REMEMBERED_ORIGINS = 56;
const ORIGINS_PER_SEASON = 4;
const WARM_SEASONS = 7;
const FEWEST_STEPS = 8;

/** A record that came to be known now. */
export interface RealisedBucket {
  readonly bucket: string;
  readonly record: BucketRecord;
  /** Of the combined forecast, step by step, as far as observed. */
  readonly errors: readonly number[];
}

/** Names a part of the horizon by where it begins and ends, in seconds: `3600-21600`. */
const bucketName = (ends: readonly number[], b: number, stepMs: number): string => {
  const seconds = (steps: number): number => (steps * stepMs) / 1000;
  return `${seconds(b === 0 ? 0 : ends[b - 1]!)}-${seconds(ends[b]!)}`;
};

export interface CatchUpOptions {
  /** The history without gaps. */
  readonly filled: Float64Array;
  /** The same with NaN where nothing was observed. */
  readonly observed: Float64Array;
  readonly startMs: number;
  readonly stepMs: number;
  readonly day: number;
  readonly horizon: number;
  readonly levels: readonly number[];
  readonly record: NamedRecord | undefined;
  /** First step that is the series' own. */
  readonly ownFrom: number;
  /** At most so many past origins are forecast again now, newest first. */
  readonly limit: number;
  /** Forecasts from the first `steps` values with what was realised by then. */
  readonly make: (steps: number, record: TrackRecord, age: number) => MadeForecast;
}

/**
 * Completes the record of a series. Past origins lie on a fixed grid in time, a quarter season apart. One whose horizon
 * has been observed meanwhile is forecast again from the values before it (which gives what was forecast then) and
 * judged; what the record already holds is not done again.
 */
export function catchUp(options: CatchUpOptions): {
  readonly record: TrackRecord;
  readonly realised: readonly RealisedBucket[];
} {
  const { filled, observed, startMs, stepMs, day, horizon, levels, limit, make, ownFrom } = options;
  const n = filled.length;
  const ends = bucketEnds(day, horizon);
  const record: BucketRecord[][] = ends.map((_, b) => [
    ...(options.record?.get(bucketName(ends, b, stepMs)) ?? []),
  ]);
  const known = record.map((bucket) => new Set(bucket.map((entry) => entry.origin)));
  const stride = Math.max(1, Math.round(day / ORIGINS_PER_SEASON));
  const warm = ownFrom + Math.max(FEWEST_STEPS, Math.min(WARM_SEASONS * day, Math.floor((n - ownFrom) / 3)));
  const last = n - ends[0]!;
  const beyond = (Math.round(startMs / stepMs) + last) % stride;
  const missing: { readonly origin: number; readonly buckets: readonly number[] }[] = [];
  for (let k = 0; k < REMEMBERED_ORIGINS && missing.length < limit; k += 1) {
    const origin = last - beyond - k * stride;
    if (origin < warm) break;
    const buckets = [...ends.keys()].filter(
      (b) => origin + ends[b]! <= n && !known[b]!.has(startMs + origin * stepMs),
    );
    if (buckets.length > 0) missing.unshift({ origin, buckets });
  }
  const realised: RealisedBucket[] = [];
  for (const [i, { origin, buckets }] of missing.entries()) {
    const originMs = startMs + origin * stepMs;
    const then = record.map((bucket, b) =>
      bucket.filter((entry) => entry.origin + ends[b]! * stepMs <= originMs),
    );
    const made = make(origin, then, missing.length - 1 - i);
    for (const b of buckets) {
      const bucket = record[b]!;
      const at = bucket.findIndex((entry) => entry.origin < originMs);
      const came = observed.subarray(origin, origin + ends[b]!);
      const entry = realise(made, b, came, originMs, levels, at < 0 ? undefined : bucket[at]);
      if (entry === undefined) continue;
      bucket.splice(at < 0 ? bucket.length : at, 0, entry);
      const begin = b === 0 ? 0 : ends[b - 1]!;
      const errors = Array.from(came.subarray(begin), (value, i) => value - made.median[begin + i]!);
      realised.push({
        bucket: bucketName(ends, b, stepMs),
        record: entry,
        errors: errors.filter((error) => !Number.isNaN(error)),
      });
    }
  }
  return { record: record.map((bucket) => bucket.slice(0, REMEMBERED_ORIGINS)), realised };
}
