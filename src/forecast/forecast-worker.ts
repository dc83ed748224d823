import { forecastSeries } from './ensemble.js';
import type { Forecast, ForecastRequest } from './types.js';

export interface ForecastTask {
  readonly requests: readonly ForecastRequest[];
  readonly nowMs: number;
}

/** Runs in a worker thread: a slice of the series of a cycle. */
export function forecast(task: ForecastTask): Forecast[] {
  return task.requests.map((request) => forecastSeries(request, task.nowMs));
}
