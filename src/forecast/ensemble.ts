import { messageOf } from '../base/errors.js';
import { FORECASTERS } from './members/index.js';
import { median, seasonalNaive } from './members/simple.js';
import { prepareHistory } from './prepare.js';
import type { Forecast, Forecaster, ForecasterContext, ForecastRequest, MixEntry } from './types.js';

/** Held-back origins that a member is judged on; expensive ones on the latest only. */
const ORIGINS = 6;
const EXPENSIVE_ORIGINS = 1;
/** The pointwise median of so many best members is the forecast. */
const CHOSEN = 3;
/** …of those that err at most so many times as much as the best one. */
const TOLERANCE = 1.5;
/** Weight of an origin halves for every two that are newer. */
const HALF_LIFE_ORIGINS = 2;

interface Judged {
  readonly forecaster: Forecaster;
  readonly path: Float64Array;
  /** Decayed mean absolute error over the origins; `null` when there was no origin. */
  readonly error: number | null;
  /** By origin, newest first: the path it gave. */
  readonly held: readonly (Float64Array | undefined)[];
}

const pointwiseMedian = (paths: readonly Float64Array[], length: number): Float64Array =>
  Float64Array.from({ length }, (_, i) => median(paths.map((path) => path[i]!)));

const meanError = (actual: Float64Array, path: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < actual.length; i += 1) sum += Math.abs(actual[i]! - path[i]!);
  return sum / actual.length;
};

const isUsable = (path: Float64Array | undefined, horizon: number): path is Float64Array =>
  path !== undefined && path.length === horizon && path.every(Number.isFinite);

/** Empirical quantile of sorted values with linear interpolation (Hyndman and Fan, 1996, type 7). */
export function quantileOf(sorted: Float64Array, q: number): number {
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  const high = Math.min(sorted.length - 1, low + 1);
  return sorted[low]! + (sorted[high]! - sorted[low]!) * (at - low);
}

/** Ends of the training parts, newest first, so that each held-back part is `held` long and lies in the past. */
function originsOf(n: number, held: number, minimum: number): number[] {
  const origins: number[] = [];
  const stride = Math.max(1, Math.floor(held / 2));
  for (let end = n - held; end >= minimum && origins.length < ORIGINS; end -= stride) origins.push(end);
  return origins;
}

/**
 * Continues one series. Members are judged by their errors on held-back parts of the history, the pointwise median of
 * the best is the forecast, and its own held-back errors, scaled to how the series moves now, are its quantiles.
 * Past only; deterministic; a member that fails is left out and named.
 */
export function forecastSeries(request: ForecastRequest, nowMs: number): Forecast {
  const prepared = prepareHistory(request.history);
  const { stepMs } = request.history;
  const base = {
    seriesId: request.seriesId,
    signal: request.signal,
    createdMs: nowMs,
    startMs: request.history.startMs + request.history.values.length * stepMs,
    stepMs,
  };
  if (prepared instanceof Error) {
    return {
      ...base,
      median: new Float64Array(0),
      quantiles: [],
      mix: [],
      historySteps: 0,
      relativeToSeasonalNaive: null,
      coverage: { p90: null, p99: null },
      status: 'refused',
      refusal: { code: prepared.code, reason: prepared.message },
      failures: [],
    };
  }
  const { values, startMs } = prepared;
  const n = values.length;
  const { horizonSteps } = request;
  const nonNegative = values.every((value) => value >= 0);
  // The history may begin later than asked: leading steps that are not known are cut off.
  const cut = Math.round((startMs - request.history.startMs) / stepMs);
  const regressors =
    request.regressors && new Map([...request.regressors].map(([name, x]) => [name, x.subarray(cut)]));
  const context = (length: number): ForecasterContext => ({
    stepMs,
    startMs,
    ...(request.events ? { events: request.events } : {}),
    ...(request.prophet ? { prophet: request.prophet } : {}),
    ...(regressors ? { regressors } : {}),
    seasonSteps: request.seasonSteps.filter((season) => season >= 2 && length >= season),
  });
  const failures: { model: string; reason: string }[] = [];
  const run = (forecaster: Forecaster, history: Float64Array, horizon: number): Float64Array | undefined => {
    try {
      const path = forecaster.forecast(history, horizon, context(history.length));
      if (!isUsable(path, horizon)) return undefined;
      return nonNegative ? path.map((value) => Math.max(0, value)) : path;
    } catch (error) {
      // A member that cannot cope with a series is replaced by the others, and says so.
      if (!failures.some((f) => f.model === forecaster.name)) {
        failures.push({ model: forecaster.name, reason: messageOf(error) });
      }
      return undefined;
    }
  };

  const held = Math.max(1, Math.min(horizonSteps, Math.floor(n / 3)));
  const origins = originsOf(n, held, 3);
  const wanted = request.models ?? [...FORECASTERS.values()].filter((f) => !f.onRequest).map((f) => f.name);
  const judged: Judged[] = [];
  for (const name of wanted) {
    const forecaster = FORECASTERS.get(name);
    if (forecaster === undefined) {
      failures.push({ model: name, reason: 'there is no such model' });
      continue;
    }
    const path = run(forecaster, values, horizonSteps);
    if (path === undefined) continue;
    const tried = forecaster.expensive ? origins.slice(0, EXPENSIVE_ORIGINS) : origins;
    const paths = origins.map((end, i) =>
      i < tried.length ? run(forecaster, values.subarray(0, end), held) : undefined,
    );
    let sum = 0;
    let weights = 0;
    for (const [i, heldPath] of paths.entries()) {
      if (heldPath === undefined) continue;
      const weight = 0.5 ** (i / HALF_LIFE_ORIGINS);
      sum += weight * meanError(values.subarray(origins[i]!, origins[i]! + held), heldPath);
      weights += weight;
    }
    judged.push({ forecaster, path, error: weights > 0 ? sum / weights : null, held: paths });
  }
  if (judged.length === 0) {
    // Every member refused or failed: the last value is always an answer.
    const last = new Float64Array(horizonSteps).fill(values[n - 1]!);
    judged.push({ forecaster: { name: 'last', forecast: () => last }, path: last, error: null, held: [] });
  }

  judged.sort((a, b) => (a.error ?? Number.POSITIVE_INFINITY) - (b.error ?? Number.POSITIVE_INFINITY));
  const best = judged[0]!.error ?? Number.POSITIVE_INFINITY;
  const chosen = judged.slice(0, CHOSEN).filter((c, i) => i === 0 || (c.error ?? 0) <= TOLERANCE * best);
  const path = pointwiseMedian(
    chosen.map((c) => c.path),
    horizonSteps,
  );

  // The ensemble's own held-back errors, as the same members would have made it at each origin.
  const errors: number[] = [];
  let own = 0;
  let naive = 0;
  const baseline = seasonalNaive('shortest');
  for (const [i, end] of origins.entries()) {
    const paths = chosen.map((c) => c.held[i]).filter((p) => p !== undefined);
    if (paths.length === 0) continue;
    const actual = values.subarray(end, end + held);
    const mixed = pointwiseMedian(paths, held);
    for (let k = 0; k < held; k += 1) errors.push(actual[k]! - mixed[k]!);
    const repeated = baseline.forecast(values.subarray(0, end), held, context(end));
    if (repeated) {
      own += meanError(actual, mixed);
      naive += meanError(actual, repeated);
    }
  }
  const sorted = Float64Array.from(errors.length > 0 ? errors : [0]).sort();
  let floor = Number.NEGATIVE_INFINITY;
  const quantiles = [...request.quantiles]
    .sort((a, b) => a - b)
    .map((q) => {
      floor = Math.max(floor, quantileOf(sorted, q));
      const offset = floor;
      return { q, values: path.map((value) => (nonNegative ? Math.max(0, value + offset) : value + offset)) };
    });
  const covered = (q: number): number | null =>
    errors.length === 0
      ? null
      : errors.filter((error) => error <= quantileOf(sorted, q)).length / errors.length;
  const longest = request.seasonSteps[0] ?? 0;
  const weight = 1 / chosen.length;
  return {
    ...base,
    median: path,
    quantiles,
    mix: judged.map(
      (c): MixEntry => ({
        model: c.forecaster.name,
        weight: chosen.includes(c) ? weight : 0,
        error: c.error,
      }),
    ),
    historySteps: n,
    relativeToSeasonalNaive: naive > 0 ? own / naive : null,
    coverage: { p90: covered(0.9), p99: covered(0.99) },
    status: origins.length >= ORIGINS && n >= 3 * longest ? 'ok' : 'learning',
    failures,
  };
}
