import { atNewLevel, levelShift } from '../regime.js';
import { bucketEnds } from './combine.js';
import { type MadeForecast, type MakeOptions, makeForecast, realise } from './maker.js';
import type { BucketRecord } from './record.js';

export interface RollingOptions extends Omit<MakeOptions, 'extra' | 'asObserved'> {
  /** First step that may be an origin. */
  readonly first: number;
  readonly stride: number;
  /** Further members, by origin. */
  readonly extra?: (history: Float64Array) => ReadonlyMap<string, Float64Array>;
}

/** One forecast of a rolling origin, made from values before `origin` only. */
export interface RollingForecast extends MadeForecast {
  readonly origin: number;
}

/**
 * Replays the life of one series: at every origin a forecast and its bands, made by members that earlier realised
 * errors chose and calibrated by earlier realised errors. Nothing at or after an origin is used for it.
 *
 * @param filled values without gaps, each gap filled from its own past
 * @param actual the same with NaN where nothing was observed
 */
export function* rollForward(
  filled: Float64Array,
  actual: Float64Array,
  options: RollingOptions,
): Generator<RollingForecast> {
  const { day, horizon, quantiles: levels, extra, ...rest } = options;
  const ends = bucketEnds(day, horizon);
  const record: BucketRecord[][] = ends.map(() => []);
  const pending: { readonly forecast: RollingForecast; next: number }[] = [];
  for (let origin = options.first; origin + horizon <= filled.length; origin += options.stride) {
    for (const p of pending) {
      const { forecast } = p;
      while (p.next < ends.length && forecast.origin + ends[p.next]! <= origin) {
        const b = p.next++;
        const came = actual.subarray(forecast.origin, forecast.origin + ends[b]!);
        const realised = realise(forecast, b, came, forecast.origin, levels, record[b]![0]);
        if (realised !== undefined) record[b]!.unshift(realised);
      }
    }
    while (pending[0] !== undefined && pending[0].next === ends.length) pending.shift();
    const past = filled.subarray(0, origin);
    const shift = levelShift(past, day);
    const history = shift === undefined ? past : atNewLevel(past, shift);
    const made = makeForecast(history, record, {
      ...rest,
      day,
      horizon,
      quantiles: levels,
      asObserved: past,
      ...(extra === undefined ? {} : { extra: extra(history) }),
    });
    const forecast = { ...made, origin };
    pending.push({ forecast, next: 0 });
    yield forecast;
  }
}
