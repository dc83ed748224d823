import { messageOf } from '../base/errors.js';
import { catchUp, REMEMBERED_ORIGINS } from './catch-up.js';
import { chooseModels } from './models.js';
import { prepareHistory } from './prepare.js';
import { bucketEnds } from './recipe/combine.js';
import { type MadeForecast, makeForecast } from './recipe/maker.js';
import type { TrackRecord } from './recipe/record.js';
import { chooseSeason } from './seasons.js';
import type { Forecast, Forecaster, ForecastRequest, MixEntry } from './types.js';

/** Slow forecasters are judged on the latest origins only. */
const EXTRA_ORIGINS = 4;
/** Bands of a series younger than so many seasons are not to be relied on. */
const MATURE_SEASONS = 21;
/** …nor those that rest on fewer realised origins. */
const MATURE_ORIGINS = 28;

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

/**
 * Continues one series: the recipe's members (docs/forecasting.md), for each part of the horizon the pointwise median of
 * those that erred least lately, bands from the errors that such forecasts turned out to have. The record of realised
 * errors comes with the request; what became known since is added to it and handed back. Past only; deterministic; a
 * member that fails is left out and named.
 */
export function forecastSeries(request: ForecastRequest, nowMs: number): Forecast {
  const { seriesId, signal, history, horizonSteps: horizon } = request;
  const { stepMs } = history;
  const base = {
    seriesId,
    signal,
    createdMs: nowMs,
    startMs: history.startMs + history.values.length * stepMs,
    stepMs,
  };
  const prepared = prepareHistory(history);
  if (prepared instanceof Error) return { ...base, ...refusal(prepared.code, prepared.message) };
  const { values, observed, startMs } = prepared;
  const n = values.length;
  const levels = [...request.quantiles].sort((a, b) => a - b);
  const { day, words } = chooseSeason(values, request.seasonSteps, stepMs);
  const { wanted, extra, unknown } = chooseModels(request.models);
  const failures = unknown.map((model) => ({ model, reason: 'there is no such model' }));

  const seasonSteps = [...new Set([day, ...request.seasonSteps])].sort((a, b) => a - b);
  // The history may begin later than asked: leading steps that are not known are cut off.
  const cut = Math.round((startMs - history.startMs) / stepMs);
  const told = {
    ...(request.events ? { events: request.events } : {}),
    ...(request.prophet ? { prophet: request.prophet } : {}),
    ...(request.regressors
      ? { regressors: new Map([...request.regressors].map(([name, x]) => [name, x.subarray(cut)])) }
      : {}),
  };
  const run = (forecaster: Forecaster, steps: number): Float64Array | undefined => {
    try {
      const context = {
        ...told,
        stepMs,
        startMs,
        seasonSteps: seasonSteps.filter((season) => steps >= season),
      };
      const path = forecaster.forecast(values.subarray(0, steps), horizon, context);
      return path?.length === horizon && path.every(Number.isFinite) ? path : undefined;
    } catch (error) {
      // A member that cannot cope with a series is replaced by the others, and says so.
      if (!failures.some((f) => f.model === forecaster.name))
        failures.push({ model: forecaster.name, reason: messageOf(error) });
      return undefined;
    }
  };
  const make = (steps: number, record: TrackRecord, age: number): MadeForecast => {
    const past = values.subarray(0, steps);
    const paths = new Map<string, Float64Array>();
    for (const forecaster of age < EXTRA_ORIGINS ? extra : []) {
      const path = run(forecaster, steps);
      if (path !== undefined) paths.set(forecaster.name, path);
    }
    return makeForecast(past, record, {
      day,
      horizon,
      quantiles: levels,
      extra: paths,
      ...(wanted === undefined ? {} : { wanted }),
    });
  };
  const { record, realised } = catchUp({
    filled: values,
    observed,
    startMs,
    stepMs,
    day,
    horizon,
    levels,
    record: request.record,
    limit: request.catchUpOrigins ?? REMEMBERED_ORIGINS,
    make,
  });
  const made = make(n, record, 0);
  const mature = n >= MATURE_SEASONS * day && record.every((bucket) => bucket.length >= MATURE_ORIGINS);
  return {
    ...base,
    median: made.median,
    quantiles: levels.map((q, l) => ({ q, values: made.quantiles[l]! })),
    mix: mixOf(made, record),
    historySteps: n,
    relativeToSeasonalNaive: relativeTo(record, bucketEnds(day, horizon)),
    coverage: { p90: covered(record, levels, 0.9), p99: covered(record, levels, 0.99) },
    status: mature ? 'ok' : 'learning',
    failures,
    notes: [words],
    realised,
  };
}

function refusal(code: string, reason: string) {
  return {
    median: new Float64Array(0),
    quantiles: [],
    mix: [],
    historySteps: 0,
    relativeToSeasonalNaive: null,
    coverage: { p90: null, p99: null },
    status: 'refused' as const,
    refusal: { code, reason },
    failures: [],
    notes: [],
    realised: [],
  };
}

/** Every member with its share of the horizon and its mean error in the record; the heaviest first. */
function mixOf(made: MadeForecast, record: TrackRecord): MixEntry[] {
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
function relativeTo(record: TrackRecord, ends: readonly number[]): number | null {
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
function covered(record: TrackRecord, levels: readonly number[], q: number): number | null {
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
