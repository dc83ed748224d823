import { chooseModels } from './models.js';
import { fillFromPast } from './prepare.js';
import { bucketEnds } from './recipe/combine.js';
import { seasonalNaiveError } from './recipe/maker.js';
import { rollForward } from './recipe/rolling.js';

export interface BacktestOptions {
  /** Steps of the shortest season. */
  readonly season: number;
  readonly horizon: number;
  /** Unix time of the first value. */
  readonly startMs: number;
  readonly stepMs: number;
  /** Members by name; absent = the recipe's. */
  readonly models?: readonly string[];
  /** Told at each origin how many steps of the series are behind it. */
  readonly onOrigin?: (done: number, of: number) => void;
}

export interface SeriesScore {
  readonly points: number;
  readonly origins: number;
  /** Share of the scored origins and buckets in which a member was chosen. */
  readonly mix: readonly { readonly model: string; readonly weight: number }[];
  readonly mase: number | null;
  readonly smape: number | null;
  readonly relativeToSeasonalNaive: number | null;
  readonly coverage: { readonly p90: number | null; readonly p99: number | null };
  readonly pinball: { readonly p90: number | null; readonly p99: number | null };
  /** Mean scaled interval score of the central 95 % interval (Gneiting and Raftery, 2007; as in M4). */
  readonly msis: number | null;
  readonly coverageByBucket: readonly { readonly p90: number; readonly p99: number }[];
  /** Long enough for its bands to be judged (more than 21 seasons). */
  readonly mature: boolean;
  readonly status: 'ok' | 'learning' | 'refused';
  readonly refusal?: string;
}

const LEVELS = [0.025, 0.9, 0.975, 0.99];
const P90 = 1;
const P99 = 3;
const INTERVAL = { lower: 0, upper: 2, alpha: 0.05 };
const WARM_SEASONS = 7;
const SCORED_SEASONS = 44;
const MATURE_SEASONS = 21;
/** Origins before the scored ones of a long series: what bands and choice learn from. */
const LEARNING_SEASONS = 14;

/** The row of a series that cannot be scored. */
export const refusedSeries = (points: number, refusal: string): SeriesScore => ({
  points,
  origins: 0,
  mix: [],
  mase: null,
  smape: null,
  relativeToSeasonalNaive: null,
  coverage: { p90: null, p99: null },
  pinball: { p90: null, p99: null },
  msis: null,
  coverageByBucket: [],
  mature: false,
  status: 'refused',
  refusal,
});

/** Rolling origins, four a season, each forecast from its own past only and scored against what was observed. */
export function backtestSeries(observed: Float64Array, options: BacktestOptions): SeriesScore {
  const { season, horizon } = options;
  const n = observed.length;
  const points = observed.filter((value) => !Number.isNaN(value)).length;
  const stride = Math.max(1, Math.round(season / 4));
  if (n < 3 * season + horizon)
    return refusedSeries(
      points,
      `${n} steps are too few for three seasons of ${season} and a horizon of ${horizon}`,
    );
  if (observed.some((value) => Math.abs(value) > 1e18)) return refusedSeries(points, 'values beyond 1e18');
  const filled = fillFromPast(observed, season);
  const warm = Math.min(WARM_SEASONS, Math.max(2, Math.floor((n - horizon) / season / 3))) * season;
  const first = Math.max(warm, n - horizon - (SCORED_SEASONS + LEARNING_SEASONS) * season);
  const scoredFrom =
    n > (WARM_SEASONS + LEARNING_SEASONS + 7) * season
      ? Math.max(first + LEARNING_SEASONS * season, n - horizon - SCORED_SEASONS * season)
      : first + season;
  const ends = bucketEnds(season, horizon);
  const covered = ends.map(() => LEVELS.map(() => 0));
  const seen = ends.map(() => 0);
  const pinball = LEVELS.map(() => 0);
  const chosenCount = new Map<string, number>();
  let slots = 0;
  let own = 0;
  let naive = 0;
  let scale = 0;
  let smape = 0;
  let interval = 0;
  let count = 0;
  let origins = 0;
  const { wanted, extra } = chooseModels(options.models);
  const further = (history: Float64Array): Map<string, Float64Array> => {
    const context = { stepMs: options.stepMs, startMs: options.startMs, seasonSteps: [season, 7 * season] };
    const paths = new Map<string, Float64Array>();
    for (const forecaster of extra) {
      const path = forecaster.forecast(history, horizon, context);
      if (path?.every(Number.isFinite)) paths.set(forecaster.name, path);
    }
    return paths;
  };
  for (const f of rollForward(filled, observed, {
    day: season,
    horizon,
    first,
    stride,
    quantiles: LEVELS,
    ...(wanted === undefined ? {} : { wanted }),
    ...(extra.length === 0 ? {} : { extra: further }),
  })) {
    options.onOrigin?.(f.origin - first, n - horizon - first);
    if (f.origin < scoredFrom) continue;
    origins += 1;
    const inSample = seasonalNaiveError(filled.subarray(0, f.origin), season);
    for (const names of f.chosen) {
      for (const name of names) {
        chosenCount.set(name, (chosenCount.get(name) ?? 0) + 1);
        slots += 1;
      }
    }
    for (const [b, end] of ends.entries()) {
      for (let i = b === 0 ? 0 : ends[b - 1]!; i < end; i += 1) {
        const value = observed[f.origin + i]!;
        if (Number.isNaN(value)) continue;
        const error = Math.abs(value - f.median[i]!);
        own += error;
        naive += Math.abs(value - f.naive[i]!);
        scale += inSample;
        const size = Math.abs(value) + Math.abs(f.median[i]!);
        if (size > 0) smape += (200 * error) / size;
        count += 1;
        seen[b]! += 1;
        const lower = f.quantiles[INTERVAL.lower]![i]!;
        const upper = f.quantiles[INTERVAL.upper]![i]!;
        interval +=
          upper - lower + (2 / INTERVAL.alpha) * (Math.max(0, lower - value) + Math.max(0, value - upper));
        for (const [l, q] of LEVELS.entries()) {
          const miss = value - f.quantiles[l]![i]!;
          if (miss <= 0) covered[b]![l]! += 1;
          pinball[l]! += miss > 0 ? q * miss : (q - 1) * miss;
        }
      }
    }
  }
  if (count === 0) return refusedSeries(points, 'no observed value in any scored horizon');
  const byBucket = ends.map((_, b) => ({
    p90: covered[b]![P90]! / seen[b]!,
    p99: covered[b]![P99]! / seen[b]!,
  }));
  const mean = (pick: (c: { p90: number; p99: number }) => number): number =>
    byBucket.reduce((sum, c) => sum + pick(c), 0) / byBucket.length;
  const mature = n > MATURE_SEASONS * season;
  return {
    points,
    origins,
    mix: [...chosenCount]
      .map(([model, times]) => ({ model, weight: times / slots }))
      .sort((a, b) => b.weight - a.weight),
    mase: scale > 0 ? own / scale : null,
    smape: smape / count,
    // Both exact: as good as the naive forecast, which is all that can be asked.
    relativeToSeasonalNaive: naive > 0 ? own / naive : own > 0 ? null : 1,
    coverage: { p90: mean((c) => c.p90), p99: mean((c) => c.p99) },
    pinball: { p90: pinball[P90]! / count, p99: pinball[P99]! / count },
    msis: scale > 0 ? interval / scale : null,
    coverageByBucket: byBucket,
    mature,
    status: mature ? 'ok' : 'learning',
  };
}
