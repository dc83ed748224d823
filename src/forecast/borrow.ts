import { meanOf, median } from '../base/statistics.js';
import { fillFromPast } from './prepare.js';
import type { Donor, SeriesHistory } from './types.js';

/** Own history of so many seasons needs no help. */
export const BORROWING_SEASONS = 7;
/** Seasons that are borrowed: what weekly members look at. */
const BORROWED_SEASONS = 14;
/** How sharply nearer fingerprints are preferred. */
const SHARPNESS = 8;
/** Share of the donors' deviations from their own mean that is taken over at most: alike is not equal. */
const TRUST = 0.8;

/** A value of a donor at a time, moved by whole weeks into what is known of it; NaN where nothing is. */
function valueAt(history: SeriesHistory, filled: Float64Array, week: number, step: number): number {
  let at = step;
  if (at >= filled.length) at -= week * Math.ceil((at - filled.length + 1) / week);
  if (at < 0) at += week * Math.ceil(-at / week);
  return at >= 0 && at < history.values.length ? filled[at]! : Number.NaN;
}

/** The middle one, which bursts do not lift; the mean of what is mostly nothing. */
function levelOf(values: Float64Array): number {
  const middle = median(values);
  return middle > 0 ? middle : meanOf(values);
}

/** Mean absolute deviation from the mean. */
function spreadOf(values: Float64Array): number {
  const mean = meanOf(values);
  return meanOf(values.map((value) => Math.abs(value - mean)));
}

/**
 * Prolongs a young series into the past by the shape of its donors: their values at those times (of the same time of
 * the week where they were not there yet), each relative to its level while the young series was seen, at the young
 * series' level. A donor that moves more than the young series, at the times of day at which that was seen, lends
 * accordingly less of its movement: a steady workload is not given the bursts of another. Own values always win, so
 * what is borrowed fades as they come.
 *
 * @returns the prolonged series and how many of its steps are borrowed; `undefined` when no donor says anything
 */
export function prolong(
  own: Float64Array,
  startMs: number,
  stepMs: number,
  day: number,
  donors: readonly Donor[],
): { readonly values: Float64Array; readonly borrowed: number } | undefined {
  const week = 7 * day;
  const level = levelOf(own);
  if (!(level > 0) || own.length >= BORROWING_SEASONS * day) return undefined;
  const ownSpread = spreadOf(own) / level;
  const borrowed = BORROWED_SEASONS * day;
  const sum = new Float64Array(borrowed);
  const weights = new Float64Array(borrowed);
  for (const { history, similarity } of donors) {
    if (history.stepMs !== stepMs || history.values.length < 2 * day || similarity <= 0) continue;
    const filled = fillFromPast(history.values, day);
    const offset = Math.round((startMs - history.startMs) / stepMs);
    const during = own
      .map((_, i) => valueAt(history, filled, week, offset + i))
      .filter((v) => !Number.isNaN(v));
    const then = levelOf(during);
    if (during.length === 0 || !(then > 0)) continue;
    const weight = similarity ** SHARPNESS;
    const spreads: number[] = [];
    for (let back = 0; back <= BORROWED_SEASONS; back += 1) {
      const seen = own.map((_, i) => valueAt(history, filled, week, offset - back * day + i));
      if (!seen.some(Number.isNaN)) spreads.push(spreadOf(seen) / then);
    }
    const usual = meanOf(spreads);
    const trust = usual > 0 ? TRUST * Math.min(1, ownSpread / usual) : 0;
    for (let i = 0; i < borrowed; i += 1) {
      const value = valueAt(history, filled, week, offset - borrowed + i);
      if (Number.isNaN(value)) continue;
      sum[i]! += weight * (1 + trust * (value / then - 1)) * level;
      weights[i]! += weight;
    }
  }
  if (!weights.some((weight) => weight > 0)) return undefined;
  const past = sum.map((value, i) => (weights[i]! > 0 ? Math.max(0, value / weights[i]!) : level));
  const values = new Float64Array(borrowed + own.length);
  values.set(past);
  values.set(own, borrowed);
  return { values, borrowed };
}
