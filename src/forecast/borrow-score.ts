import { median } from '../base/statistics.js';
import { forecastSeries } from './ensemble.js';
import { fillFromPast } from './prepare.js';
import type { Donor, SeriesHistory } from './types.js';

export interface BorrowScore {
  readonly starts: number;
  /** Mean absolute errors of the day ahead. */
  readonly flatMae: number;
  readonly aloneMae: number;
  readonly borrowedMae: number;
  readonly borrowedToFlat: number | null;
}

const STARTS = 12;
/** What donors are known for at the first start; half of a series that is shorter than twice as much. */
const DONOR_DAYS = 14;

/**
 * What borrowing is worth on a real series: at a dozen moments all but its last `visible` steps are hidden, as if the
 * workload were that young, and the day ahead is forecast with the donors' history up to then, from the visible steps
 * alone, and by their current level (the median of the last hour).
 *
 * @param day steps a day
 */
export function scoreBorrowing(
  series: SeriesHistory,
  donors: readonly Donor[],
  day: number,
  visible: number,
): BorrowScore | undefined {
  const { values, startMs, stepMs } = series;
  const first = Math.min(DONOR_DAYS * day, Math.floor(values.length / 2));
  const room = values.length - day - first;
  if (first < visible || room < 1 || donors.length === 0) return undefined;
  const filled = fillFromPast(values, day);
  const hour = Math.max(1, Math.round(day / 24));
  const sums = { flat: 0, alone: 0, borrowed: 0, count: 0 };
  for (let k = 0; k < STARTS; k += 1) {
    // A prime number of parts, so that starts fall on all times of the day.
    const origin = first + Math.floor(((k + 0.37) * room) / STARTS);
    const nowMs = startMs + origin * stepMs;
    const request = {
      seriesId: 'borrow/0/value',
      signal: 'bandwidthOutBps' as const,
      history: {
        startMs: nowMs - visible * stepMs,
        stepMs,
        values: values.subarray(origin - visible, origin),
      },
      horizonSteps: day,
      seasonSteps: [day],
      quantiles: [0.5],
      catchUpOrigins: 0,
    };
    const then = donors.map((donor) => upTo(donor, nowMs));
    const alone = forecastSeries(request, nowMs).median;
    const borrowed = forecastSeries({ ...request, donors: then }, nowMs).median;
    if (alone.length === 0 || borrowed.length === 0) continue;
    const level = median(filled.subarray(origin - Math.min(hour, visible), origin));
    for (let i = 0; i < day; i += 1) {
      const actual = values[origin + i]!;
      if (Number.isNaN(actual)) continue;
      sums.flat += Math.abs(actual - level);
      sums.alone += Math.abs(actual - alone[i]!);
      sums.borrowed += Math.abs(actual - borrowed[i]!);
      sums.count += 1;
    }
  }
  if (sums.count === 0) return undefined;
  return {
    starts: STARTS,
    flatMae: sums.flat / sums.count,
    aloneMae: sums.alone / sums.count,
    borrowedMae: sums.borrowed / sums.count,
    borrowedToFlat: sums.flat > 0 ? sums.borrowed / sums.flat : null,
  };
}

/** What was known of a donor then; one that was recorded at another time is moved there by whole weeks. */
function upTo(donor: Donor, nowMs: number): Donor {
  const { startMs, stepMs, values } = donor.history;
  const weekMs = 7 * 86_400_000;
  const endMs = startMs + values.length * stepMs;
  const overlaps = startMs + DONOR_DAYS * 86_400_000 <= nowMs && nowMs <= endMs + weekMs;
  const moved = overlaps ? startMs : startMs + Math.floor((nowMs - endMs) / weekMs) * weekMs;
  const known = Math.max(0, Math.min(values.length, Math.floor((nowMs - moved) / stepMs)));
  return { ...donor, history: { startMs: moved, stepMs, values: values.subarray(0, known) } };
}
