import { meanOf } from '../base/statistics.js';

/** A series is judged on at most so many points: enough for two hundred lags, cheap enough for every refresh. */
const POINTS = 1024;
/** Share of the variance that has to come back after a season. */
const VISIBLE = 0.3;
/** Of two seasons that explain alike, the shorter one counts: multiples of a season are seasons too. */
const ALIKE = 0.85;

export interface Season {
  readonly steps: number;
  /** Autocorrelation at the season, after the trend is taken off; 1 = an exact repetition. */
  readonly strength: number;
}

/** Values averaged over groups of `factor`, without their straight line, ending where the series ends. */
function coarse(values: Float64Array, factor: number): Float64Array {
  const length = Math.floor(values.length / factor);
  const skip = values.length - length * factor;
  const means = Float64Array.from({ length }, (_, j) =>
    meanOf(values.subarray(skip + j * factor, skip + (j + 1) * factor)),
  );
  const centre = (length - 1) / 2;
  const mean = meanOf(means);
  let slope = 0;
  let spread = 0;
  for (let j = 0; j < length; j += 1) {
    slope += (j - centre) * (means[j]! - mean);
    spread += (j - centre) ** 2;
  }
  slope /= spread || 1;
  return means.map((value, j) => value - mean - slope * (j - centre));
}

/** Correlation of the series with itself so many points earlier, in -1..1. */
function autocorrelation(x: Float64Array, lag: number): number {
  let product = 0;
  let early = 0;
  let late = 0;
  for (let t = lag; t < x.length; t += 1) {
    product += x[t]! * x[t - lag]!;
    early += x[t - lag]! ** 2;
    late += x[t]! ** 2;
  }
  return early > 0 && late > 0 ? product / Math.sqrt(early * late) : 0;
}

/** How much of a series comes back after `steps`; `undefined` while it is shorter than two seasons. */
export function seasonStrength(values: Float64Array, steps: number): number | undefined {
  if (values.length < 2 * steps) return undefined;
  const factor = Math.max(1, Math.min(Math.floor(steps / 12), Math.floor(values.length / POINTS)));
  return autocorrelation(coarse(values, factor), Math.round(steps / factor));
}

/**
 * The season that a series shows by itself, if any: the shortest lag at which its autocorrelation has a clear peak
 * after it first fell, seen at least twice and a half (autocorrelation function test; Box and Jenkins, 1976).
 */
export function detectSeason(values: Float64Array): Season | undefined {
  const factor = Math.max(1, Math.ceil(values.length / POINTS));
  const x = coarse(values, factor);
  const longest = Math.floor(x.length / 2.5);
  if (longest < 4) return undefined;
  const acf = Float64Array.from({ length: longest + 1 }, (_, lag) => autocorrelation(x, lag));
  // A smooth series resembles itself at short lags without any season.
  let fallen = 1;
  while (fallen <= longest && acf[fallen]! > 0.1) fallen += 1;
  const peaks: number[] = [];
  for (let lag = Math.max(2, fallen); lag < longest; lag += 1) {
    const peak = acf[lag]!;
    if (peak >= VISIBLE && peak >= acf[lag - 1]! && peak > acf[lag + 1]!) peaks.push(lag);
  }
  const highest = Math.max(...peaks.map((lag) => acf[lag]!));
  const found = peaks.find((lag) => acf[lag]! >= ALIKE * highest);
  if (found === undefined) return undefined;
  if (factor === 1) return { steps: found, strength: acf[found]! };
  const exact = refine(values, found * factor, factor);
  return { steps: exact, strength: acf[found]! };
}

/** The best lag near a coarse one, on the steps themselves. */
function refine(values: Float64Array, near: number, reach: number): number {
  const x = coarse(values, 1);
  let best = near;
  let highest = Number.NEGATIVE_INFINITY;
  for (let lag = Math.max(2, near - reach); lag <= near + reach; lag += 1) {
    const value = autocorrelation(x, lag);
    if (value > highest) [highest, best] = [value, lag];
  }
  return best;
}

/** The season that a forecast rests on, and why, in words. */
export function chooseSeason(
  values: Float64Array,
  configured: readonly number[],
  stepMs: number,
): { readonly day: number; readonly words: string } {
  const shortest = configured.length > 0 ? Math.min(...configured) : undefined;
  if (shortest !== undefined) {
    const strength = seasonStrength(values, shortest);
    if (strength === undefined)
      return { day: shortest, words: `season of ${shortest} steps as configured, not seen twice yet` };
    if (strength >= VISIBLE)
      return {
        day: shortest,
        words: `season of ${shortest} steps as configured, autocorrelation ${strength.toFixed(2)}`,
      };
    return {
      day: shortest,
      words: `season of ${shortest} steps as configured, but the history does not show it (autocorrelation ${strength.toFixed(2)})`,
    };
  }
  const found = detectSeason(values);
  if (found !== undefined && found.steps >= 4)
    return {
      day: found.steps,
      words: `season of ${found.steps} steps detected, autocorrelation ${found.strength.toFixed(2)}`,
    };
  const day = Math.max(4, Math.round(86_400_000 / stepMs));
  return { day, words: 'no season detected' };
}
