import type { RealisedBucket } from './catch-up.js';
import type { NamedRecord } from './recipe/record.js';

/** Regular values in time; NaN = not known. */
export interface SeriesHistory {
  readonly startMs: number;
  readonly stepMs: number;
  readonly values: Float64Array;
}

export type Signal =
  | 'bandwidthOutBps'
  | 'bandwidthInBps'
  | 'packetsPerSecond'
  | 'flowsPerSecond'
  | 'cpuCores'
  | 'memoryBytes';

export interface ForecastRequest {
  readonly seriesId: string;
  readonly signal: Signal;
  readonly history: SeriesHistory;
  readonly horizonSteps: number;
  /** Season lengths in steps, shortest first; empty = detected from the history. */
  readonly seasonSteps: readonly number[];
  /** Levels in (0, 1). */
  readonly quantiles: readonly number[];
  /** Member names, `recipe` for all of the recipe's; absent = those, chosen by their errors. */
  readonly models?: readonly string[];
  /** Events in the history and in the horizon. */
  readonly events?: readonly CalendarEvent[];
  /** Histories of workloads with nearly the same fingerprint: a young series borrows their shape. */
  readonly donors?: readonly Donor[];
  /** When something else, such as drift of the fingerprint, said that the workload changed. */
  readonly changedMs?: number;
  readonly prophet?: ProphetSettings;
  /** By name: known values over the history and then over the horizon, step by step. */
  readonly regressors?: ReadonlyMap<string, Float64Array>;
  /** Realised errors of earlier forecasts. */
  readonly record?: NamedRecord;
  /** Models that are not to be tried on this series, and why. */
  readonly leftOut?: readonly ModelFailure[];
  /** At most so many past origins that the record lacks are made up for now; absent = all. */
  readonly catchUpOrigins?: number;
}

/** A model that could not be used, and why. */
export interface ModelFailure {
  readonly model: string;
  readonly reason: string;
}

/** A span of time that is not like others: a holiday, a maintenance window, the end of a month. */
export interface CalendarEvent {
  /** Its kind: spans of one name are expected to be alike. */
  readonly name: string;
  /** Unix time. */
  readonly startMs: number;
  readonly endMs: number;
  /** What it does to the signal, where that is known: 0.2 = a fifth of what it would be. Absent = learnt. */
  readonly multiply?: number;
}

/** Another series of the same signal and step. */
export interface Donor {
  readonly name: string;
  readonly history: SeriesHistory;
  /** Of the fingerprints, at most 1. */
  readonly similarity: number;
}

/** What Prophet can be told; by its own names. */
export interface ProphetSettings {
  readonly growth?: 'linear' | 'logistic' | 'flat';
  /** Saturation of logistic growth, in the unit of the signal. */
  readonly cap?: number;
  readonly floor?: number;
  readonly changepointPriorScale?: number;
  readonly seasonalityMode?: 'additive' | 'multiplicative';
}

export interface QuantilePath {
  readonly q: number;
  readonly values: Float64Array;
}

/** A member that could forecast the series. */
export interface MixEntry {
  readonly model: string;
  /** 0 = judged, not chosen. */
  readonly weight: number;
  /** Mean absolute error realised so far, in the series' unit. */
  readonly error: number | null;
}

export interface Forecast {
  readonly seriesId: string;
  readonly signal: Signal;
  readonly createdMs: number;
  readonly startMs: number;
  readonly stepMs: number;
  readonly median: Float64Array;
  readonly quantiles: readonly QuantilePath[];
  readonly mix: readonly MixEntry[];
  readonly historySteps: number;
  /** Realised error of such forecasts divided by seasonal naive's; below 1 is better than repeating the season. */
  readonly relativeToSeasonalNaive: number | null;
  /** Share of realised values that stayed below the nominal quantile as it was forecast. */
  readonly coverage: { readonly p90: number | null; readonly p99: number | null };
  /** `learning`: too little history for the bands to mean what they say. */
  readonly status: 'ok' | 'learning' | 'refused';
  readonly refusal?: { readonly code: string; readonly reason: string };
  /** Models that failed on this series or were left out, and why; others stand in for them. */
  readonly failures: readonly ModelFailure[];
  /** What else went into it, in words. */
  readonly notes: readonly string[];
  /** Parts of the record that became known with this forecast: to be stored and given back with the next request. */
  readonly realised: readonly RealisedBucket[];
}

/** What a forecaster knows besides the values. */
export interface ForecasterContext {
  readonly stepMs: number;
  /** Unix time of the first value. */
  readonly startMs: number;
  /** Seasons that the history covers at least once, in steps, shortest first; may be empty. */
  readonly seasonSteps: readonly number[];
  readonly events?: readonly CalendarEvent[];
  readonly prophet?: ProphetSettings;
  /** By name: values from the first of the history on. */
  readonly regressors?: ReadonlyMap<string, Float64Array>;
}

/**
 * One way to continue a series. Pure: equal inputs give equal outputs.
 *
 * @param history finite values, oldest first
 * @returns `horizon` values, or `undefined` when this method needs more history
 */
export interface Forecaster {
  readonly name: string;
  forecast(history: Float64Array, horizon: number, context: ForecasterContext): Float64Array | undefined;
}
