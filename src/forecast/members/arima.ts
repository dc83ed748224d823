import { createRequire } from 'node:module';
import type { Forecaster } from '../types.js';

/** What the CommonJS package `arima` (a port of ctsa) gives; it has no usable types of its own. */
interface ArimaModel {
  train(series: readonly number[]): ArimaModel;
  predict(steps: number): [point: number[], variances: number[]];
  destroy(): void;
}
type ArimaConstructor = new (options: Readonly<Record<string, number | boolean>>) => ArimaModel;

/** Enough to find the orders by; a longer one costs seconds. */
const MAX_POINTS = 1500;
const MINIMUM_POINTS = 30;
/** The seasons are taken out by their means when they are too long for seasonal differences in reasonable time. */
const DEPTH = 4;

let loaded: ArimaConstructor | undefined;
const load = (): ArimaConstructor => {
  loaded ??= createRequire(import.meta.url)('arima') as ArimaConstructor;
  return loaded;
};

/**
 * ARIMA with automatic orders (Hyndman and Khandakar, 2008; p, q ≤ 2, d ≤ 1, chosen by AIC) on the series without its
 * shortest season, which is put back: the mean of each slot over the last four seasons.
 */
export const arima: Forecaster = {
  name: 'arima',
  forecast(history, horizon, { seasonSteps }) {
    if (history.length < MINIMUM_POINTS) return undefined;
    const season = seasonSteps.find((steps) => history.length >= 2 * steps);
    const shape = season === undefined ? undefined : seasonalShape(history, season);
    const skip = Math.max(0, history.length - MAX_POINTS);
    const at = (i: number): number =>
      shape === undefined ? 0 : shape[(((i - history.length) % shape.length) + shape.length) % shape.length]!;
    const rest = Array.from(history.subarray(skip), (value, i) => value - at(skip + i));
    // A constant has no orders to find.
    if (rest.every((value) => Math.abs(value - rest[0]!) < 1e-12)) return undefined;
    // The optimiser works on numbers near one.
    const scale = Math.sqrt(rest.reduce((sum, value) => sum + value * value, 0) / rest.length);
    const Arima = load();
    const model = new Arima({
      auto: true,
      p: 2,
      d: 1,
      q: 2,
      P: 0,
      D: 0,
      Q: 0,
      s: 0,
      search: 1,
      approximation: 1,
      verbose: false,
    });
    try {
      model.train(rest.map((value) => value / scale));
      const [point] = model.predict(horizon);
      return Float64Array.from(point, (value, i) => value * scale + at(history.length + i));
    } finally {
      model.destroy();
    }
  },
};

/** Mean of each slot over the last seasons minus the mean of all; index 0 follows the end of the history. */
function seasonalShape(history: Float64Array, season: number): Float64Array {
  const seasons = Math.min(DEPTH, Math.floor(history.length / season));
  const shape = new Float64Array(season);
  for (let slot = 0; slot < season; slot += 1)
    for (let back = 1; back <= seasons; back += 1)
      shape[slot]! += history[history.length - back * season + slot]! / seasons;
  const mean = shape.reduce((sum, value) => sum + value, 0) / season;
  return shape.map((value) => value - mean);
}
