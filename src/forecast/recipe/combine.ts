import { median } from '../../base/statistics.js';
import type { BucketRecord, TrackRecord } from './record.js';

/** Origins of the past that a member is judged on. */
export const REMEMBERED = 28;
/** An origin counts half for so many that are newer. */
const HALF_LIFE = 28;
const CHOSEN = 6;
/** Relative errors beyond this say nothing more. */
const WORST = 5;
/** Origins' worth of what is known of members before a series has a record. */
const PRIOR_ORIGINS = 8;

/** Ends (exclusive, in steps) of the parts of the horizon that are judged and combined apart. */
export function bucketEnds(day: number, horizon: number): number[] {
  const ends = [Math.round(day / 24), Math.round(day / 4), horizon].filter(
    (end) => end >= 1 && end <= horizon,
  );
  return [...new Set(ends)].sort((a, b) => a - b);
}

/**
 * Members with the lowest decayed relative error in one bucket, best first: their realised errors, on top of how such
 * members usually rank. `past` is newest first.
 */
export function selectMembers(
  names: readonly string[],
  past: readonly BucketRecord[],
  prior: (name: string) => number,
): string[] {
  const sums = new Map(
    names.map((name) => [name, { sum: PRIOR_ORIGINS * prior(name), weight: PRIOR_ORIGINS }]),
  );
  for (const [age, record] of past.slice(0, REMEMBERED).entries()) {
    if (record.errors.length === 0) continue;
    const middle = median(record.errors);
    const weight = 0.5 ** (age / HALF_LIFE);
    for (const [i, name] of record.members.entries()) {
      const score = sums.get(name);
      if (score === undefined) continue;
      const error = record.errors[i]!;
      score.sum += weight * (middle > 0 ? Math.min(WORST, error / middle) : error > 0 ? WORST : 1);
      score.weight += weight;
    }
  }
  const score = (name: string): number => sums.get(name)!.sum / sums.get(name)!.weight;
  return [...names].sort((a, c) => score(a) - score(c)).slice(0, CHOSEN);
}

/** Pointwise median of the chosen members, bucket by bucket. */
export function combineByBucket(
  paths: ReadonlyMap<string, Float64Array>,
  record: TrackRecord,
  ends: readonly number[],
  prior: (name: string, bucket: number) => number,
): { readonly path: Float64Array; readonly chosen: readonly (readonly string[])[] } {
  const names = [...paths.keys()];
  const path = new Float64Array(ends.at(-1)!);
  const chosen = ends.map((end, b) => {
    const best = selectMembers(names, record[b] ?? [], (name) => prior(name, b));
    for (let i = b === 0 ? 0 : ends[b - 1]!; i < end; i += 1) {
      path[i] = median(best.map((name) => paths.get(name)![i]!));
    }
    return best;
  });
  return { path, chosen };
}
