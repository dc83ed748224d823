// What bringing the history to the new level after a lasting step is worth on the series under ../shared/data or
// $TIDEGATE_DATA: at every origin, a quarter day apart, at which a step is seen, the day ahead is forecast with and
// without it, from the past only and with no record of earlier errors. Prints JSON. Run from the built checkout.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fillFromPast } from '../../dist/forecast/prepare.js';
import { coarsen, parseSeries } from '../../dist/forecast/read-series.js';
import { makeForecast, repeatSeason } from '../../dist/forecast/recipe/maker.js';
import { atNewLevel, levelShift } from '../../dist/forecast/regime.js';
import { seriesInputs } from './series.mjs';

const rows = [];
for (const [step, day] of [
  [300_000, 288],
  [3_600_000, 24],
]) {
  for (const { file, time, value } of seriesInputs()) {
    const read = parseSeries(readFileSync(file, 'utf8'), file, time, value);
    const observed = coarsen(read.observed, Math.round(step / read.stepMs));
    const filled = fillFromPast(observed, day);
    const sums = { kept: 0, moved: 0, naive: 0, origins: 0 };
    for (let origin = 9 * day; origin + day <= filled.length; origin += day / 4) {
      const past = filled.subarray(0, origin);
      const shift = levelShift(past, day);
      if (shift === undefined) continue;
      const options = { day, horizon: day, quantiles: [0.5], asObserved: past };
      const kept = makeForecast(past, [[], [], []], options).median;
      const moved = makeForecast(atNewLevel(past, shift), [[], [], []], options).median;
      const naive = repeatSeason(past, day, day);
      sums.origins += 1;
      for (let i = 0; i < day; i += 1) {
        const actual = observed[origin + i];
        if (Number.isNaN(actual)) continue;
        sums.kept += Math.abs(actual - kept[i]);
        sums.moved += Math.abs(actual - moved[i]);
        sums.naive += Math.abs(actual - naive[i]);
      }
    }
    if (sums.origins === 0) continue;
    rows.push({
      series: `${basename(file, '.csv')}${value === 'value' ? '' : ` ${value}`}`,
      stepSeconds: step / 1000,
      origins: sums.origins,
      keptRelative: sums.kept / sums.naive,
      movedRelative: sums.moved / sums.naive,
      movedToKept: sums.moved / sums.kept,
    });
  }
}
const logs = rows.map((row) => Math.log(row.movedToKept));
const geometricMean = rows.length > 0 ? Math.exp(logs.reduce((a, b) => a + b, 0) / rows.length) : null;
console.log(JSON.stringify({ series: rows, geometricMean }, null, 2));
