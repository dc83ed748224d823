import { iteratedAr } from '../recipe/ar.js';
import type { Forecaster } from '../types.js';

/** Lags that carry the near past and the same time one and two seasons ago. */
function lagsFor(seasons: readonly number[]): number[] {
  const lags = new Set([1, 2, 3, 4, 5, 6, 9, 12]);
  for (const season of seasons) {
    for (const near of [-2, -1, 0, 1, 2]) {
      lags.add(season + near);
      lags.add(2 * season + near);
    }
    lags.add(3 * season);
  }
  return [...lags].sort((a, b) => a - b);
}

/**
 * Ridge autoregression on the series' own seasons, see {@link iteratedAr}. With `log`, on ln(y + shift): median-unbiased
 * and right for loads that scale.
 *
 * @param lambda ridge penalty on series of unit root mean square
 */
export const ridgeAr = (lambda: number, log: boolean): Forecaster => ({
  name: log ? 'ridgeArLog' : 'ridgeAr',
  forecast: (history, horizon, { seasonSteps }) =>
    iteratedAr(history, horizon, { lags: lagsFor(seasonSteps), difference: 0, lambda, log }),
});
