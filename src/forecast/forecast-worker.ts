import { isMainThread } from 'node:worker_threads';
import { defineErrors, messageOf } from '../base/errors.js';
import { forecastSeries } from './ensemble.js';
import { refusedForecast } from './refused.js';
import type { Forecast, ForecastRequest } from './types.js';
import { Whereabouts } from './whereabouts.js';

const fail = defineErrors({
  TG_FORECAST_FAILED: {
    message: 'the series could not be forecast: {reason}',
    hint: 'the other series are not touched by it; report it with the series',
  },
});

export interface ForecastTask {
  readonly requests: readonly ForecastRequest[];
  readonly nowMs: number;
  /** Of a {@link Whereabouts}. */
  readonly whereabouts: SharedArrayBuffer;
}

// Prophet's optimiser reports each failure on the standard error of its WebAssembly sandbox. The failure itself comes
// as an exception and is recorded with the forecast; the lines would only garble what people read.
if (!isMainThread) process.stderr.write = () => true;

/** Runs in a worker thread: a slice of the series of a cycle. One that fails is refused by name. */
export function forecast(task: ForecastTask): Forecast[] {
  const whereabouts = new Whereabouts(task.whereabouts);
  return task.requests.map((request, i) => {
    try {
      return forecastSeries(request, task.nowMs, (model) => whereabouts.enter(i, model));
    } catch (error) {
      return refusedForecast(
        request,
        task.nowMs,
        fail('TG_FORECAST_FAILED', { reason: messageOf(error) }, error),
      );
    }
  });
}
