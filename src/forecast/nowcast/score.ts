import { fillFromPast } from '../prepare.js';
import { Nowcast } from './nowcast.js';

export interface NowcastScore {
  readonly stepsAhead: number;
  readonly forecasts: number;
  readonly mae: number;
  readonly persistenceMae: number;
  /** Below 1 = better than expecting the last value again; `null` when both are exact. */
  readonly relativeToPersistence: number | null;
}

const WARM_DAYS = 14;
/** Days at the end of a series that are scored; those before it teach. */
const SCORED_DAYS = 12;

/**
 * The near future of one series forecast at every step, each time from the past only, and scored over the last twelve
 * days, as far as they come after two weeks of learning (a third of a series that is younger). `undefined` when nothing is left to score.
 *
 * @param day steps a day
 */
export function scoreNowcast(
  observed: Float64Array,
  day: number,
  stepsAhead: number,
): NowcastScore | undefined {
  const filled = fillFromPast(observed, day);
  const n = filled.length;
  const first = Math.min(WARM_DAYS * day, Math.floor(n / 3));
  if (first < 2 * day) return undefined;
  const scoredFrom = n - SCORED_DAYS * day;
  const nowcast = new Nowcast(filled, first, { horizon: stepsAhead, stepsPerDay: day });
  let own = 0;
  let persistence = 0;
  let count = 0;
  for (let t = first; t + stepsAhead < n; t += 1) {
    const forecast = nowcast.at(t);
    const actual = observed[t + stepsAhead]!;
    if (t < scoredFrom || Number.isNaN(actual)) continue;
    own += Math.abs(actual - forecast);
    persistence += Math.abs(actual - filled[t]!);
    count += 1;
  }
  if (count === 0) return undefined;
  return {
    stepsAhead,
    forecasts: count,
    mae: own / count,
    persistenceMae: persistence / count,
    relativeToPersistence: persistence > 0 ? own / persistence : null,
  };
}
