import { median } from '../../base/statistics.js';
import { type ArOptions, iteratedAr } from './ar.js';
import { doubleSeasonalHoltWinters } from './dshw.js';
import { analogs, dailyMedian, weeklyLevelled, weeklyShape } from './profiles.js';

const HOURS = 24;
const LONG_DAYS = 28;
const FINE_AR_DAYS = 14;
/** From so many steps a day on, series are noisy enough that hourly members run on hourly means. */
const FINE_DAY = 96;
const between = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);
const FULL = [
  ...between(1, 12),
  ...between(22, 26),
  ...[47, 48, 49, 72, 96, 120, 143, 144, 145],
  ...between(166, 170),
];
const SHORT = [...between(1, 6), 12, ...between(22, 26), 47, 48, 49, 72];
/** Below this many hours the lags of a week cannot be estimated. */
const SHORT_HOURS = 400;

/** Few enough lags for a few days of history. */
const SHORTEST: ArOptions = { lags: [1, 2, 3, 24], difference: 0, lambda: 3, log: true };

const HOURLY_AR: Readonly<Record<string, ArOptions>> = {
  arAl: { lags: FULL, difference: 0, lambda: 1, log: true },
  arD24: { lags: FULL, difference: 24, lambda: 3, log: false },
  arD168l: {
    lags: [...between(1, 6), 12, ...between(23, 26), 48, 144, 168, 169],
    difference: 168,
    lambda: 3,
    log: true,
  },
};

/** Members of the M4 combination that only dilute the choice on traffic (measured). */
const HOURLY_AR_M4: ArOptions = { lags: FULL, difference: 0, lambda: 1, log: false };

/** Steps of the season, in hours or not, that the near and the seasonal past of a fine series are regressed on. */
const fineLags = (day: number): number[] =>
  [
    ...new Set([
      ...between(1, 6),
      ...[9, 12, 18, 24, 36],
      ...between(day - 2, day + 2),
      ...between(2 * day - 1, 2 * day + 1),
      3 * day,
      ...between(7 * day - 1, 7 * day + 1),
    ]),
  ].sort((a, b) => a - b);

/** The members that {@link memberPaths} chooses among. */
export const RECIPE_MEMBERS: readonly string[] = [
  ...['snd', 'snw', 'l1h', 'l6h', 'l1d', 'l7d', 'pmed7', 'pwlev', 'pwmed', 'pmult'],
  ...[...Object.keys(HOURLY_AR), 'arTl'],
  ...['dshwl', 'dshw', 'l6hdshwl', 'ar5', 'ar5l'],
];

type Keep = (name: string, make: () => Float64Array | undefined) => void;

/** Members for hourly values with a day and a week; only those wanted are computed. */
export function hourlyMembers(
  y: Float64Array,
  horizon: number,
  wanted?: ReadonlySet<string>,
): Map<string, Float64Array> {
  const paths = new Map<string, Float64Array>();
  const keep: Keep = (name, make) => {
    if (wanted?.has(name) === false) return;
    const path = make();
    if (path?.every(Number.isFinite)) paths.set(name, path);
  };
  const autoregress = (name: string, options: ArOptions): void => {
    const lags = y.length < SHORT_HOURS && options.lags.length > SHORT.length ? SHORT : options.lags;
    keep(name, () => iteratedAr(y, horizon, { ...options, lags }));
  };
  for (const [name, options] of Object.entries(HOURLY_AR)) autoregress(name, options);
  keep('dshwl', () => doubleSeasonalHoltWinters(y, horizon, true));
  keep('dshw', () => doubleSeasonalHoltWinters(y, horizon, false));
  if (wanted?.has('arA') === true) autoregress('arA', HOURLY_AR_M4);
  if (wanted?.has('knn7') === true) keep('knn7', () => analogs(y, HOURS, horizon, 7, 3, 0.8));
  return paths;
}

/** Hour centres joined by lines, each hour's mean moved to the hourly forecast. */
function refine(hourly: Float64Array, shape: Float64Array, factor: number): Float64Array {
  const moves = hourly.map((value, j) => {
    const part = shape.subarray(j * factor, (j + 1) * factor);
    return part.length === 0 ? 0 : value - part.reduce((sum, v) => sum + v, 0) / part.length;
  });
  return shape.map((value, i) => {
    const at = Math.min(moves.length - 1, Math.max(0, (i + 0.5) / factor - 0.5));
    const low = Math.floor(at);
    const high = Math.min(moves.length - 1, low + 1);
    return value + moves[low]! + (moves[high]! - moves[low]!) * (at - low);
  });
}

/**
 * The members' continuations of `y`. Paths are finite, clipped at 0 for non-negative series; members that need more
 * history are absent. At fine steps the hourly members run on hourly means and are brought back to the steps.
 *
 * @param day steps of the shortest season
 * @param wanted only these; absent = all
 */
export function memberPaths(
  y: Float64Array,
  day: number,
  horizon: number,
  wanted?: ReadonlySet<string>,
): Map<string, Float64Array> {
  const n = y.length;
  const paths = new Map<string, Float64Array>();
  const nonNegative = y.every((value) => value >= 0);
  const keep: Keep = (name, make) => {
    if (wanted?.has(name) === false) return;
    const path = make();
    if (path === undefined || !path.every(Number.isFinite)) return;
    paths.set(name, nonNegative ? path.map((value) => Math.max(0, value)) : path);
  };
  const fine = day >= FINE_DAY;
  const recent = y.subarray(Math.max(0, n - LONG_DAYS * day));
  const repeated = (season: number) => () =>
    n >= season ? Float64Array.from({ length: horizon }, (_, i) => y[n - season + (i % season)]!) : undefined;
  keep('snd', repeated(day));
  keep('snw', repeated(7 * day));
  const hour = Math.max(1, Math.round(day / HOURS));
  for (const [name, steps] of [
    ['l1h', hour],
    ['l6h', 6 * hour],
    ['l1d', day],
    ['l7d', 7 * day],
  ] as const) {
    keep(name, () => new Float64Array(horizon).fill(median(y.subarray(Math.max(0, n - steps)))));
  }
  // At fine steps the daily profile only dilutes the choice (measured).
  if (!fine) keep('pmed7', () => dailyMedian(recent, day, horizon, 0));
  keep('pwlev', () => weeklyLevelled(recent, day, horizon, false));
  keep('pwmed', () => weeklyLevelled(recent, day, horizon, true));
  keep('pmult', () => weeklyShape(recent, day, horizon));
  if (day % HOURS === 0) hourly(recent, day, horizon, wanted, keep);
  const level = paths.get('l6h');
  const season = paths.get('dshwl');
  if (!fine && level !== undefined && season !== undefined)
    keep('l6hdshwl', () => level.map((value, i) => (value + season[i]!) / 2));
  if (day % HOURS !== 0 || fine) {
    const window = y.subarray(Math.max(0, n - FINE_AR_DAYS * day));
    const options = { lags: fineLags(day), difference: 0, lambda: 2 };
    keep('ar5', () => iteratedAr(window, horizon, { ...options, log: false }));
    keep('ar5l', () => iteratedAr(window, horizon, { ...options, log: true }));
  }
  return paths;
}

/** The hourly members on means of whole hours that end where the history ends. */
function hourly(
  recent: Float64Array,
  day: number,
  horizon: number,
  wanted: ReadonlySet<string> | undefined,
  keep: Keep,
): void {
  const factor = day / HOURS;
  const hours = Math.floor(recent.length / factor);
  const rolled = Float64Array.from({ length: hours }, (_, j) => {
    const begin = recent.length - (hours - j) * factor;
    let sum = 0;
    for (let k = 0; k < factor; k += 1) sum += recent[begin + k]!;
    return sum / factor;
  });
  // At fine steps the autoregression on the steps themselves says more.
  if (factor === 1) keep('arTl', () => iteratedAr(rolled, horizon, SHORTEST));
  const shape = factor > 1 ? dailyMedian(recent, day, horizon, 1) : undefined;
  if (factor > 1 && shape === undefined) return;
  for (const [name, path] of hourlyMembers(rolled, Math.ceil(horizon / factor), wanted))
    keep(name, () => (shape === undefined ? path : refine(path, shape, factor)));
}
