import type { TidegateError } from '../base/errors.js';
import type { Forecast, ForecastRequest } from './types.js';

/** What stands in the place of a forecast that cannot be made. */
export const refusedForecast = (
  { seriesId, signal, history, leftOut }: ForecastRequest,
  nowMs: number,
  { code, message }: TidegateError,
): Forecast => ({
  seriesId,
  signal,
  createdMs: nowMs,
  startMs: history.startMs + history.values.length * history.stepMs,
  stepMs: history.stepMs,
  median: new Float64Array(0),
  quantiles: [],
  mix: [],
  historySteps: 0,
  relativeToSeasonalNaive: null,
  coverage: { p90: null, p99: null },
  status: 'refused',
  refusal: { code, reason: message },
  failures: leftOut ?? [],
  notes: [],
  realised: [],
});
