import { defineErrors, type TidegateError } from '../base/errors.js';
import type { SeriesHistory } from './types.js';

const fail = defineErrors({
  TG_FORECAST_EMPTY: { message: 'the series has no value', hint: 'wait until it was observed' },
  TG_FORECAST_SHORT: {
    message: 'the series has {points} values, {needed} are needed',
    hint: 'wait for more history',
  },
  TG_FORECAST_VALUES: { message: 'the series holds values that are not finite', hint: 'leave gaps as NaN' },
});

export const MINIMUM_POINTS = 4;
/** Beyond this, squares of values lose all precision. */
const LARGEST = 1e18;

export interface PreparedHistory {
  /** Without gaps, for looking at as a whole; a gap's filling knows its end. */
  readonly values: Float64Array;
  /** The same with NaN where nothing was observed. */
  readonly observed: Float64Array;
  readonly startMs: number;
}

/**
 * Makes a history that every member can take: leading gaps cut off, inner gaps filled by the line between their
 * neighbours, a trailing gap by its last value. Or says why there is none.
 */
export function prepareHistory(history: SeriesHistory): PreparedHistory | TidegateError {
  const { values } = history;
  let begin = 0;
  while (begin < values.length && Number.isNaN(values[begin]!)) begin += 1;
  if (begin === values.length) return fail('TG_FORECAST_EMPTY');
  const observed = values.subarray(begin);
  const filled = Float64Array.from(observed);
  for (const value of filled) {
    if (!Number.isNaN(value) && Math.abs(value) > LARGEST) return fail('TG_FORECAST_VALUES');
  }
  if (filled.length < MINIMUM_POINTS) {
    return fail('TG_FORECAST_SHORT', { points: filled.length, needed: MINIMUM_POINTS });
  }
  for (let i = 1; i < filled.length; i += 1) {
    if (!Number.isNaN(filled[i]!)) continue;
    let next = i;
    while (next < filled.length && Number.isNaN(filled[next]!)) next += 1;
    const left = filled[i - 1]!;
    const right = next < filled.length ? filled[next]! : left;
    for (let k = i; k < next; k += 1) filled[k] = left + ((right - left) * (k - i + 1)) / (next - i + 1);
    i = next;
  }
  return { values: filled, observed, startMs: history.startMs + begin * history.stepMs };
}

/** Fills gaps causally: by the value a season before, else by the one before; the first value is always observed. */
export function fillFromPast(observed: Float64Array, season: number): Float64Array {
  const filled = Float64Array.from(observed);
  for (let t = 0; t < filled.length; t += 1) {
    if (Number.isNaN(filled[t]!)) filled[t] = t >= season ? filled[t - season]! : (filled[t - 1] ?? 0);
  }
  return filled;
}
