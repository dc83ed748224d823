import { meanOf, median } from '../../base/statistics.js';

/** Pointwise combination of the last `seasons` seasons, the newest first. */
function combine(
  y: Float64Array,
  season: number,
  depth: number,
  pick: (values: Float64Array) => number,
): Float64Array | undefined {
  const seasons = Math.min(depth, Math.floor(y.length / season));
  if (seasons < 1) return undefined;
  const same = new Float64Array(seasons);
  return Float64Array.from({ length: season }, (_, slot) => {
    for (let k = 0; k < seasons; k += 1) same[k] = y[y.length - (k + 1) * season + slot]!;
    return pick(same);
  });
}

const decayed =
  (decay: number) =>
  (values: Float64Array): number => {
    let sum = 0;
    let weights = 0;
    for (let k = 0; k < values.length; k += 1) {
      sum += decay ** k * values[k]!;
      weights += decay ** k;
    }
    return sum / weights;
  };

function smooth(profile: Float64Array, width: number): Float64Array {
  if (width === 0) return profile;
  const n = profile.length;
  return profile.map((_, i) => {
    let sum = 0;
    for (let k = -width; k <= width; k += 1) sum += profile[(i + k + n) % n]!;
    return sum / (2 * width + 1);
  });
}

const repeat = (profile: Float64Array, horizon: number): Float64Array =>
  Float64Array.from({ length: horizon }, (_, i) => profile[i % profile.length]!);

/** Median of the last seven days at the same time of day. */
export const dailyMedian = (
  y: Float64Array,
  day: number,
  horizon: number,
  width: number,
): Float64Array | undefined => {
  const profile = combine(y, day, 7, median);
  return profile && repeat(smooth(profile, width), horizon);
};

/** Same weekdays mixed with the last days. */
export function weekly(
  y: Float64Array,
  day: number,
  horizon: number,
  robust: boolean,
): Float64Array | undefined {
  const week = combine(y, 7 * day, 4, robust ? median : decayed(0.7));
  const days = combine(y, day, 7, robust ? median : decayed(0.8));
  if (week === undefined || days === undefined) return undefined;
  const share = robust ? 0.8 : 0.65;
  return Float64Array.from(
    { length: horizon },
    (_, i) => share * week[i % week.length]! + (1 - share) * days[i % day]!,
  );
}

/** {@link weekly}, moved by a share of what it would have missed on the last day. */
export function weeklyLevelled(
  y: Float64Array,
  day: number,
  horizon: number,
  robust: boolean,
): Float64Array | undefined {
  const path = weekly(y, day, horizon, robust);
  const before = weekly(y.subarray(0, y.length - day), day, day, robust);
  if (path === undefined || before === undefined) return path;
  const offset = (robust ? 0.5 : 0.6) * median(before.map((value, i) => y[y.length - day + i]! - value));
  return path.map((value) => value + offset);
}

/** Shape of the week relative to its own mean, times the current level, nudged by the last day. */
export function weeklyShape(y: Float64Array, day: number, horizon: number): Float64Array | undefined {
  const week = 7 * day;
  const n = y.length;
  const weeks = Math.min(4, Math.floor(n / week));
  if (weeks < 1) return undefined;
  const level = meanOf(y.subarray(n - week));
  const shape = new Float64Array(week);
  let weights = 0;
  let expected = 0;
  let expectedWeights = 0;
  for (let k = 1; k <= weeks; k += 1) {
    const mean = meanOf(y.subarray(n - k * week, n - (k - 1) * week));
    if (!(Math.abs(mean) > 0)) return undefined;
    const weight = 0.7 ** k;
    weights += weight;
    for (let i = 0; i < week; i += 1) shape[i]! += (weight * y[n - k * week + i]!) / mean;
    if (n - k * week - day >= 0) {
      expected += (weight * meanOf(y.subarray(n - k * week - day, n - k * week))) / mean;
      expectedWeights += weight;
    }
  }
  const last = meanOf(y.subarray(n - day));
  const wanted = expectedWeights > 0 ? (expected / expectedWeights) * level : last;
  const ratio = last > 0 && wanted > 0 ? (last / wanted) ** 0.6 : 1;
  return repeat(shape, horizon).map((value) => (value / weights) * level * ratio);
}

/** What followed the past stretches most like the last `days` days, at shifts of whole days. */
export function analogs(
  y: Float64Array,
  day: number,
  horizon: number,
  days: number,
  neighbours: number,
  share: number,
): Float64Array | undefined {
  const n = y.length;
  const size = days * day;
  const ahead = Math.ceil(horizon / day) * day;
  const now = y.subarray(n - size);
  const found: { distance: number; end: number; gap: number }[] = [];
  for (let shift = ahead; n - shift - size >= 0; shift += day) {
    const then = y.subarray(n - shift - size, n - shift);
    let gap = 0;
    for (let i = 0; i < size; i += 1) gap += (now[i]! - then[i]!) / size;
    let distance = 0;
    for (let i = 0; i < size; i += 1) distance += Math.abs(now[i]! - then[i]! - gap) / size;
    found.push({ distance: distance + 0.5 * Math.abs(gap) + 1e-9, end: n - shift, gap });
  }
  if (found.length < 2) return undefined;
  found.sort((a, b) => a.distance - b.distance);
  const best = found.slice(0, neighbours);
  const total = best.reduce((sum, b) => sum + b.distance ** -2, 0);
  return Float64Array.from({ length: horizon }, (_, i) =>
    best.reduce((sum, b) => sum + (b.distance ** -2 / total) * (y[b.end + i]! + share * b.gap), 0),
  );
}
