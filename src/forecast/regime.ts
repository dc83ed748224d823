import { meanOf, median } from '../base/statistics.js';

/** Parts of a day that are compared with the same parts of the days before. */
const PARTS = 24;
const COMPARED_DAYS = 7;
const MOST_PARTS = 2 * PARTS;
/**
 * When a change is believed: after how many parts that all agree, how many usual deviations away, how large as a
 * logarithm. Measured on real series: believing sooner costs more than it gains, unless something else says that the
 * workload changed.
 */
const CLEAR = { parts: 12, deviations: 12, change: Math.log(2) };
const HINTED = { parts: 4, deviations: 3, change: Math.log(1.5) };

export interface LevelShift {
  /** First step of the new level. */
  readonly step: number;
  /** New level by old. */
  readonly ratio: number;
}

/**
 * A lasting step in the level of a non-negative series within the last two days: every hour since then is far from the
 * same hours of the week before, all to the same side, while the hours before were not.
 *
 * @param day steps a day
 * @param hintStep a step at which something else, such as drift of the fingerprint, says that the workload changed
 */
export function levelShift(y: Float64Array, day: number, hintStep?: number): LevelShift | undefined {
  const size = Math.max(1, Math.round(day / PARTS));
  const parts = Math.floor(y.length / size);
  const perDay = Math.round(day / size);
  if (parts < (COMPARED_DAYS + 2) * perDay) return undefined;
  const skip = y.length - parts * size;
  const levelOf = (p: number): number => meanOf(y.subarray(skip + p * size, skip + (p + 1) * size));
  const from = parts - (COMPARED_DAYS + 2) * perDay;
  const levels = Float64Array.from({ length: parts - from }, (_, i) => levelOf(from + i));
  if (levels.some((level) => !(level > 0))) return undefined;
  // Logarithm of each of the last parts against the median of the same part of the days before.
  const first = levels.length - MOST_PARTS;
  const ratios = Float64Array.from({ length: MOST_PARTS }, (_, i) => {
    const at = first + i;
    const before: number[] = [];
    for (let back = at - perDay; back >= 0 && before.length < COMPARED_DAYS; back -= perDay)
      before.push(levels[back]!);
    return Math.log(levels[at]! / median(before));
  });
  // Usual deviations: of each part from the one a day before it, over the week before the last two days.
  const usual: number[] = [];
  for (let i = perDay; i < first; i += 1) usual.push(Math.abs(Math.log(levels[i]! / levels[i - perDay]!)));
  const unit = Math.max(0.02, median(usual));
  const hinted = hintStep === undefined ? undefined : Math.floor((hintStep - skip) / size) - from - first;
  for (let length = MOST_PARTS; length >= HINTED.parts; length -= 1) {
    const begin = MOST_PARTS - length;
    const asked = hinted !== undefined && Math.abs(begin - hinted) <= 2 ? HINTED : CLEAR;
    if (length < asked.parts) continue;
    const since = ratios.subarray(begin);
    const ratio = median(since);
    const needed = Math.max(asked.change, asked.deviations * unit);
    if (Math.abs(ratio) < needed) continue;
    if (!since.every((value) => value * ratio > 0 && Math.abs(value) > needed / 2)) continue;
    const previous = ratios.subarray(Math.max(0, begin - HINTED.parts), begin);
    if (previous.length > 0 && Math.abs(median(previous)) > needed / 2) continue;
    return { step: skip + (from + first + begin) * size, ratio: Math.exp(ratio) };
  }
  return undefined;
}

/** The history as if it had always been at the new level: shapes stay, the old level is forgotten. */
export const atNewLevel = (y: Float64Array, shift: LevelShift): Float64Array =>
  y.map((value, t) => (t < shift.step ? value * shift.ratio : value));
