import { median } from '../members/simple.js';

/** Origins of the past that a member is judged on. */
const REMEMBERED = 28;
/** An origin counts half for so many that are newer. */
const HALF_LIFE = 8;
const CHOSEN = 5;
/** Relative errors beyond this say nothing more. */
const WORST = 5;

/** Ends (exclusive, in steps) of the parts of the horizon that are judged and combined apart. */
export function bucketEnds(day: number, horizon: number): number[] {
  const ends = [Math.round(day / 24), Math.round(day / 4), horizon].filter(
    (end) => end >= 1 && end <= horizon,
  );
  return [...new Set(ends)].sort((a, b) => a - b);
}

/** Mean absolute error of each member by bucket at one past origin; `undefined` where nothing is realised. */
export interface OriginErrors {
  readonly byMember: ReadonlyMap<string, readonly (number | undefined)[]>;
}

export function errorsAt(
  paths: ReadonlyMap<string, Float64Array>,
  actual: Float64Array,
  ends: readonly number[],
): OriginErrors {
  const byMember = new Map<string, (number | undefined)[]>();
  for (const [name, path] of paths) {
    byMember.set(
      name,
      ends.map((end, b) => {
        let sum = 0;
        let count = 0;
        for (let i = b === 0 ? 0 : ends[b - 1]!; i < end; i += 1) {
          if (Number.isNaN(actual[i]!)) continue;
          sum += Math.abs(actual[i]! - path[i]!);
          count += 1;
        }
        return count > 0 ? sum / count : undefined;
      }),
    );
  }
  return { byMember };
}

/**
 * Members with the lowest decayed relative error in bucket `b`, best first. `past` is newest first and holds origins
 * whose bucket is realised. Without any past every member is returned.
 */
export function selectMembers(names: readonly string[], past: readonly OriginErrors[], b: number): string[] {
  const sums = new Map(names.map((name) => [name, { sum: 0, weight: 0 }]));
  for (const [age, origin] of past.slice(0, REMEMBERED).entries()) {
    const errors = [...origin.byMember.values()].map((e) => e[b]).filter((e) => e !== undefined);
    if (errors.length === 0) continue;
    const middle = median(errors);
    const weight = 0.5 ** (age / HALF_LIFE);
    for (const name of names) {
      const error = origin.byMember.get(name)?.[b];
      const score = sums.get(name)!;
      if (error === undefined) continue;
      score.sum += weight * (middle > 0 ? Math.min(WORST, error / middle) : error > 0 ? WORST : 1);
      score.weight += weight;
    }
  }
  const scored = names.filter((name) => sums.get(name)!.weight > 0);
  if (scored.length === 0) return [...names];
  const score = (name: string): number => sums.get(name)!.sum / sums.get(name)!.weight;
  return scored.sort((a, c) => score(a) - score(c)).slice(0, CHOSEN);
}

/** Pointwise median of the chosen members, bucket by bucket. */
export function combineByBucket(
  paths: ReadonlyMap<string, Float64Array>,
  pastByBucket: readonly (readonly OriginErrors[])[],
  ends: readonly number[],
): { readonly path: Float64Array; readonly chosen: readonly (readonly string[])[] } {
  const names = [...paths.keys()];
  const path = new Float64Array(ends.at(-1)!);
  const chosen = ends.map((end, b) => {
    const best = selectMembers(names, pastByBucket[b]!, b);
    for (let i = b === 0 ? 0 : ends[b - 1]!; i < end; i += 1) {
      path[i] = median(best.map((name) => paths.get(name)![i]!));
    }
    return best;
  });
  return { path, chosen };
}
