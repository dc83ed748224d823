import type { Forecaster } from '../types.js';

/** Middle value; the mean of the two middle ones for an even count. Leaves its argument alone. */
export function median(values: Iterable<number>): number {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** Repeats the last season: the baseline that every forecast has to beat. */
export const seasonalNaive = (pick: 'shortest' | 'longest'): Forecaster => ({
  name: pick === 'shortest' ? 'seasonalNaive' : 'seasonalNaiveLong',
  forecast(history, horizon, { seasonSteps }) {
    const season =
      pick === 'shortest' ? seasonSteps[0] : seasonSteps.length > 1 ? seasonSteps.at(-1) : undefined;
    if (season === undefined || history.length < season) return undefined;
    const begin = history.length - season;
    return Float64Array.from({ length: horizon }, (_, i) => history[begin + (i % season)]!);
  },
});

/** The median of the last `steps` values, for ever: hard to beat where nothing repeats. */
export const level = (steps: number): Forecaster => ({
  name: `level${steps}`,
  forecast(history, horizon) {
    if (history.length < 1) return undefined;
    return new Float64Array(horizon).fill(median(history.subarray(Math.max(0, history.length - steps))));
  },
});

/**
 * Seasonal profile: for each slot of the season the median over the last `depth` seasons, circularly smoothed, lifted
 * by a share of how far the last values were from it. After the `pmed` and `pew3s` members of the recipe in
 * docs/forecasting.md.
 */
export const profile = (depth: number, smooth: number, lift: number): Forecaster => ({
  name: `profile${depth}${lift > 0 ? 'lift' : ''}`,
  forecast(history, horizon, { seasonSteps }) {
    const season = seasonSteps[0];
    if (season === undefined || history.length < 2 * season) return undefined;
    const seasons = Math.min(depth, Math.floor(history.length / season));
    const slots = new Float64Array(season);
    for (let slot = 0; slot < season; slot += 1) {
      const same: number[] = [];
      for (let back = 1; back <= seasons; back += 1)
        same.push(history[history.length - back * season + slot]!);
      slots[slot] = median(same);
    }
    const width = 2 * smooth + 1;
    const shape = slots.map((_, slot) => {
      let sum = 0;
      for (let k = -smooth; k <= smooth; k += 1) sum += slots[(slot + k + season) % season]!;
      return sum / width;
    });
    const recent = Math.max(1, Math.round(season / 12));
    let offset = 0;
    for (let k = 1; k <= recent; k += 1)
      offset += (history[history.length - k]! - shape[(season - k) % season]!) / recent;
    return Float64Array.from({ length: horizon }, (_, i) => {
      // The offset fades: what is unusual now says little about the same hour of the next season.
      const fade = lift * Math.exp(-i / (season / 4));
      return shape[i % season]! + offset * fade;
    });
  },
});
