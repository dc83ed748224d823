import { median } from '../../base/statistics.js';
import { hourlyMembers } from './members.js';

const SEASON = 24;
const MEMBERS = new Set(['arAl', 'arA', 'arD24', 'arD168l', 'dshwl', 'dshw', 'knn7']);
const HOLDOUTS = 6;
/** Naive2 over all 414 hourly series (M4, Evaluation and Ranks): what OWA is relative to. */
const PUBLISHED_NAIVE2 = { smape: 18.383, mase: 2.395 };

/** sMAPE in percent and MASE as the M4 competition defines them (Makridakis et al., 2020). */
export function m4Errors(
  history: Float64Array,
  actual: Float64Array,
  path: Float64Array,
): { readonly smape: number; readonly mase: number } {
  let scale = 0;
  for (let t = SEASON; t < history.length; t += 1)
    scale += Math.abs(history[t]! - history[t - SEASON]!) / (history.length - SEASON);
  let smape = 0;
  let absolute = 0;
  for (let i = 0; i < actual.length; i += 1) {
    const size = Math.abs(actual[i]!) + Math.abs(path[i]!);
    const error = Math.abs(actual[i]! - path[i]!);
    absolute += error / actual.length;
    if (size > 0) smape += (200 * error) / size / actual.length;
  }
  return { smape, mase: absolute / scale };
}

/** Overall weighted average of the competition, against its published Naive2. */
export const owa = (smape: number, mase: number): number =>
  (smape / PUBLISHED_NAIVE2.smape + mase / PUBLISHED_NAIVE2.mase) / 2;

/** Half the median of seven members, half their mean weighted by held-back errors inside the history. */
export function forecastM4(history: Float64Array, horizon: number): Float64Array {
  const n = history.length;
  const naive = Float64Array.from({ length: horizon }, (_, i) => history[n - SEASON + (i % SEASON)]!);
  const paths = hourlyMembers(history, horizon, MEMBERS);
  if (paths.size === 0) return naive;
  const errors = new Map<string, { sum: number; count: number }>();
  let base = 0;
  for (let k = 0; k < HOLDOUTS; k += 1) {
    const origin = n - horizon - k * SEASON;
    if (origin < 8 * SEASON) break;
    for (let i = 0; i < horizon; i += 1)
      base += Math.abs(history[origin + i]! - history[origin - SEASON + (i % SEASON)]!) / horizon;
    for (const [name, path] of hourlyMembers(history.subarray(0, origin), horizon, MEMBERS)) {
      const entry = errors.get(name) ?? { sum: 0, count: 0 };
      for (let i = 0; i < horizon; i += 1) entry.sum += Math.abs(history[origin + i]! - path[i]!) / horizon;
      entry.count += 1;
      errors.set(name, entry);
    }
  }
  const nonNegative = history.every((value) => value >= 0);
  const names = [...paths.keys()];
  const weights = names.map((name) => {
    const entry = errors.get(name);
    if (entry === undefined || !(base > 0)) return 1e-6;
    return (entry.sum / entry.count / (base / HOLDOUTS) + 1e-3) ** -4;
  });
  const total = weights.reduce((sum, w) => sum + w, 0);
  return Float64Array.from({ length: horizon }, (_, i) => {
    const values = names.map((name) => paths.get(name)![i]!);
    const mean = values.reduce((sum, v, k) => sum + (v * weights[k]!) / total, 0);
    const value = (median(values) + mean) / 2;
    return nonNegative ? Math.max(0, value) : value;
  });
}
