import { meanOf, median } from '../../base/statistics.js';

const COMPARED_DAYS = 7;
/** Usual day-to-day differences that a surge exceeds. */
const CLEAR = 3;
/** The last minutes: a quarter of an hour at five-minute steps. */
const LAST_STEPS = 3;
/** With fewer steps a day the last value is older than the last minutes, and one alone is no sign of what lasts. */
const FEWEST_STEPS = 48;

/**
 * The level of the last minutes, where it is far from the same minutes of the days before; `undefined` where nothing
 * unusual goes on.
 *
 * @param usualDifference mean absolute difference from one day to the next
 */
export function surgeLevel(y: Float64Array, day: number, usualDifference: number): number | undefined {
  const n = y.length;
  if (day < FEWEST_STEPS) return undefined;
  const steps = Math.max(1, Math.min(LAST_STEPS, Math.floor(day / 96)));
  if (n < 3 * day + steps) return undefined;
  const at = (end: number): number => meanOf(y.subarray(end - steps, end));
  const before: number[] = [];
  for (let end = n - day; end >= steps && before.length < COMPARED_DAYS; end -= day) before.push(at(end));
  const now = at(n);
  return Math.abs(now - median(before)) > CLEAR * usualDifference ? now : undefined;
}

/**
 * The first part of the horizon during a surge: pointwise the middle one of what the chosen members say, what the short
 * autoregression says and the level of the last minutes. Who was right on quiet days does not decide alone.
 */
export function followSurge(
  path: Float64Array,
  paths: ReadonlyMap<string, Float64Array>,
  level: number,
  end: number,
): Float64Array {
  const near = paths.get('ar5l') ?? paths.get('arAl') ?? paths.get('l1h');
  return path.map((value, i) => (i < end && near !== undefined ? median([value, near[i]!, level]) : value));
}
