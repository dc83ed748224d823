import { initSync, MSTL } from '@bsull/augurs/mstl';
import type { Forecaster } from '../types.js';
import { augursModule } from './wasm.js';

/** More points cost time in proportion and bring little for a horizon of a season. */
const MAX_POINTS = 4032;

let loaded = false;
/** The module is compiled once a thread. */
function load(): void {
  if (loaded) return;
  initSync({ module: augursModule('mstl') });
  loaded = true;
}

/**
 * MSTL (Bandara, Hyndman and Bergmeir, 2021): the series is split into its seasons by iterated LOESS; what is left is
 * continued by automatic exponential smoothing (Hyndman et al., 2002), and the seasons are repeated.
 */
export const mstl: Forecaster = {
  name: 'mstlEts',
  forecast(history, horizon, { seasonSteps }) {
    const values = history.subarray(Math.max(0, history.length - MAX_POINTS));
    // LOESS needs two whole seasons.
    const periods = seasonSteps.filter((season) => season >= 2 && values.length >= 2 * season);
    if (periods.length === 0) return undefined;
    load();
    const model = MSTL.ets(periods, { impute: true });
    try {
      model.fit(Float64Array.from(values));
      return Float64Array.from(model.predict(horizon).point);
    } finally {
      try {
        model.free();
      } catch {
        // After a trap inside the library the model counts as borrowed for ever; the trap itself is what is reported.
      }
    }
  },
};
