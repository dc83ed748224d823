import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { initSync, Prophet } from '@bsull/augurs/prophet';
import { optimizer } from '@bsull/augurs-prophet-wasmstan';
import type { Forecaster } from '../types.js';

const DAY_MS = 86_400_000;
/** L-BFGS steps; the gain beyond is small and the time to convergence depends on the data. */
const ITERATIONS = 300;
/** More points cost time in proportion and bring little for a horizon of a season. */
const MAX_POINTS = 4032;
/** Seasons of history that a seasonal term needs. */
const COVERED = 1.1;

let loaded = false;
/** The WebAssembly module is compiled once a thread; its own loader would try to fetch a file URL. */
function load(): void {
  if (loaded) return;
  // The package exports its entry points only; the WebAssembly file lies beside one of them.
  const entry = createRequire(import.meta.url).resolve('@bsull/augurs/prophet');
  const wasm = join(dirname(entry), 'prophet_bg.wasm');
  initSync({ module: readFileSync(wasm) });
  loaded = true;
}

/**
 * Prophet (Taylor and Letham, 2018) with its own Stan model in WebAssembly: linear trend with changepoints and a
 * Fourier series for each season that the history covers.
 */
export const prophet: Forecaster = {
  name: 'prophet',
  expensive: true,
  forecast(history, horizon, { seasonSteps, startMs, stepMs }) {
    const skip = Math.max(0, history.length - MAX_POINTS);
    const values = history.subarray(skip);
    if (values.length < 20 || stepMs < 1000) return undefined;
    const seasons = seasonSteps.filter((season) => values.length >= COVERED * season);
    // Without any seasonal term the library traps.
    if (seasons.length === 0) return undefined;
    load();
    const off = { type: 'manual' as const, enabled: false };
    const model = new Prophet({
      optimizer,
      scaling: 'minMax',
      dailySeasonality: off,
      weeklySeasonality: off,
      yearlySeasonality: off,
      uncertaintySamples: 0,
    });
    try {
      for (const [i, season] of seasons.entries()) {
        model.addSeasonality(`season${i}`, {
          period: (season * stepMs) / DAY_MS,
          fourierOrder: Math.max(2, Math.min(8, Math.floor(season / 4))),
        });
      }
      const first = startMs + skip * stepMs;
      // The library takes whole seconds only.
      const second = (i: number): number => Math.round((first + i * stepMs) / 1000);
      const ds = Array.from(values, (_, i) => second(i));
      model.fit({ ds, y: Array.from(values) }, { iter: ITERATIONS });
      const future = Array.from({ length: horizon }, (_, i) => second(values.length + i));
      return Float64Array.from(model.predict({ ds: future }).yhat.point);
    } finally {
      try {
        model.free();
      } catch {
        // After a trap inside the library the model counts as borrowed for ever; the trap itself is what is reported.
      }
    }
  },
};
