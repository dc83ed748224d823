import type { MadeForecast } from './recipe/maker.js';
import type { TrackRecord } from './recipe/record.js';
import type { MixEntry } from './types.js';

/** A weighted mean that may have nothing to be the mean of. */
function meanOver<T>(items: readonly T[], weight: (item: T) => number, value: (item: T) => number) {
  let sum = 0;
  let weights = 0;
  for (const item of items) {
    sum += weight(item) * value(item);
    weights += weight(item);
  }
  return weights > 0 ? sum / weights : null;
}

/** Every member with its share of the horizon and its mean error in the record; the heaviest first. */
export function mixOf(made: MadeForecast, record: TrackRecord): MixEntry[] {
  const { ends, chosen, median } = made;
  const stepsOf = (b: number): number => ends[b]! - (b === 0 ? 0 : ends[b - 1]!);
  return [...made.paths.keys()]
    .map((model) => {
      let weight = 0;
      for (const [b, names] of chosen.entries())
        if (names.includes(model)) weight += stepsOf(b) / median.length / names.length;
      const judged = record.flatMap((bucket, b) =>
        bucket.flatMap(({ members, errors }) => {
          const error = errors[members.indexOf(model)];
          return error === undefined ? [] : [{ b, error }];
        }),
      );
      const error = meanOver(
        judged,
        ({ b }) => stepsOf(b),
        (j) => j.error,
      );
      return { model, weight, error };
    })
    .sort((a, b) => b.weight - a.weight || (a.error ?? 0) - (b.error ?? 0));
}

/** Realised error by that of repeating the season, over the same origins and parts of the horizon. */
export function relativeTo(record: TrackRecord, ends: readonly number[]): number | null {
  const judged = record.flatMap((bucket, b) =>
    bucket.map((entry) => ({
      steps: ends[b]! - (b === 0 ? 0 : ends[b - 1]!),
      own: entry.meanAbsolute,
      naive: entry.errors[entry.members.indexOf('snd')] ?? Number.NaN,
    })),
  );
  const usable = judged.filter(({ naive }) => !Number.isNaN(naive));
  const own = meanOver(
    usable,
    ({ steps }) => steps,
    (j) => j.own,
  );
  const naive = meanOver(
    usable,
    ({ steps }) => steps,
    (j) => j.naive,
  );
  return own !== null && naive !== null && naive > 0 ? own / naive : null;
}

/** Share of realised values at or below the band of a level: mean over the parts of the horizon. */
export function covered(record: TrackRecord, levels: readonly number[], q: number): number | null {
  const at = levels.indexOf(q);
  if (at < 0) return null;
  const shares = record.map((bucket) =>
    meanOver(
      bucket,
      () => 1,
      (entry) => 1 - (entry.missed[at] ?? 0),
    ),
  );
  const known = shares.filter((share) => share !== null);
  return meanOver(
    known,
    () => 1,
    (share) => share,
  );
}
