import { messageOf } from '../base/errors.js';
import { catchUp, REMEMBERED_ORIGINS } from './catch-up.js';
import { knownHistory } from './known-history.js';
import { ALL, chooseModels } from './models.js';
import { prepareHistory } from './prepare.js';
import { bucketEnds } from './recipe/combine.js';
import { type MadeForecast, makeForecast, multiplied } from './recipe/maker.js';
import type { TrackRecord } from './recipe/record.js';
import { refusedForecast } from './refused.js';
import { atNewLevel, type LevelShift, levelShift } from './regime.js';
import { covered, mixOf, relativeTo } from './report.js';
import { chooseSeason } from './seasons.js';
import type { Forecast, Forecaster, ForecastRequest, ModelFailure } from './types.js';

/** Slow forecasters are judged on the latest origins only. */
const EXTRA_ORIGINS = 4;
/** Bands of a series younger than so many seasons are not to be relied on. */
const MATURE_SEASONS = 21;
/** …nor those that rest on fewer realised origins. */
const MATURE_ORIGINS = 28;

/**
 * Continues one series: the recipe's members (docs/forecasting.md), for each part of the horizon the pointwise median of
 * those that erred least lately, bands from the errors that such forecasts turned out to have. The record of realised
 * errors comes with the request; what became known since is added to it and handed back. Past only; deterministic; a
 * member that fails is left out and named.
 *
 * @param atWork told which model is about to run
 */
export function forecastSeries(
  request: ForecastRequest,
  nowMs: number,
  atWork: (model: string) => void = () => undefined,
): Forecast {
  atWork(ALL);
  const { seriesId, signal, history, horizonSteps: horizon } = request;
  const { stepMs } = history;
  const prepared = prepareHistory(history);
  if (prepared instanceof Error) return refusedForecast(request, nowMs, prepared);
  const { day, words } = chooseSeason(prepared.values, request.seasonSteps, stepMs);
  const known = knownHistory(request, prepared, day);
  const { values, observed, startMs, ownFrom, effects } = known;
  const n = values.length;
  const levels = [...request.quantiles].sort((a, b) => a - b);
  const { wanted, extra, unknown } = chooseModels(
    request.models,
    request.leftOut?.map(({ model }) => model),
  );
  const failures: ModelFailure[] = [
    ...(request.leftOut ?? []),
    ...unknown.map((model) => ({ model, reason: 'there is no such model' })),
  ];

  const seasonSteps = [...new Set([day, ...request.seasonSteps])].sort((a, b) => a - b);
  // The history may begin later than asked: leading steps that are not known are cut off.
  const cut = Math.round((prepared.startMs - history.startMs) / stepMs);
  const told = {
    ...(request.events ? { events: request.events } : {}),
    ...(request.prophet ? { prophet: request.prophet } : {}),
    ...(request.regressors && ownFrom === 0
      ? { regressors: new Map([...request.regressors].map(([name, x]) => [name, x.subarray(cut)])) }
      : {}),
  };
  const run = (forecaster: Forecaster, steps: number): Float64Array | undefined => {
    atWork(forecaster.name);
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
    } finally {
      atWork(ALL);
    }
  };
  const changed = (steps: number): LevelShift | undefined => {
    const hint = request.changedMs === undefined ? undefined : (request.changedMs - startMs) / stepMs;
    return levelShift(values.subarray(0, steps), day, hint);
  };
  const make = (steps: number, record: TrackRecord, age: number): MadeForecast => {
    const paths = new Map<string, Float64Array>();
    for (const forecaster of age < EXTRA_ORIGINS ? extra : []) {
      const path = run(forecaster, steps);
      if (path !== undefined) paths.set(forecaster.name, path);
    }
    const past = values.subarray(0, steps);
    const shift = changed(steps);
    const made = makeForecast(shift === undefined ? past : atNewLevel(past, shift), record, {
      day,
      horizon,
      quantiles: levels,
      asObserved: past,
      extra: paths,
      ...(wanted === undefined ? {} : { wanted }),
    });
    return effects === undefined ? made : multiplied(made, effects.factors(steps, steps, horizon));
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
    ownFrom,
    limit: request.catchUpOrigins ?? REMEMBERED_ORIGINS,
    make,
  });
  const made = make(n, record, 0);
  const mature =
    n - ownFrom >= MATURE_SEASONS * day && record.every((bucket) => bucket.length >= MATURE_ORIGINS);
  const shift = changed(n);
  return {
    seriesId,
    signal,
    createdMs: nowMs,
    startMs: history.startMs + history.values.length * stepMs,
    stepMs,
    median: made.median,
    quantiles: levels.map((q, l) => ({ q, values: made.quantiles[l]! })),
    mix: mixOf(made, record),
    historySteps: n - ownFrom,
    relativeToSeasonalNaive: relativeTo(record, bucketEnds(day, horizon)),
    coverage: { p90: covered(record, levels, 0.9), p99: covered(record, levels, 0.99) },
    status: mature ? 'ok' : 'learning',
    failures,
    notes: [
      words,
      ...known.words,
      ...(shift === undefined ? [] : [shiftWords(shift, (n - shift.step) * stepMs)]),
    ],
    realised,
  };
}

const shiftWords = (shift: LevelShift, agoMs: number): string =>
  `level changed ${shift.ratio.toFixed(2)} times ${(agoMs / 3_600_000).toFixed(1)} h ago; the old level is forgotten`;
