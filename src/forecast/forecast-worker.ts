import { isMainThread } from 'node:worker_threads';
import { forecastSeries } from './ensemble.js';
import type { Forecast, ForecastRequest } from './types.js';

export interface ForecastTask {
  readonly requests: readonly ForecastRequest[];
  readonly nowMs: number;
}

// Prophet's optimiser reports each failure on the standard error of its WebAssembly sandbox. The failure itself comes
// as an exception and is recorded with the forecast; the lines would only garble what people read.
if (!isMainThread) process.stderr.write = () => true;

/** Runs in a worker thread: a slice of the series of a cycle. */
export function forecast(task: ForecastTask): Forecast[] {
  return task.requests.map((request) => forecastSeries(request, task.nowMs));
}
