// Prints the table of src/forecast/recipe/prior-scores.ts: how members rank on the series under ../shared/data or
// $TIDEGATE_DATA, mean over series of their error relative to the middle member's at rolling origins.
// `--without TEXT` leaves out the series whose name contains it. Run from the built checkout.
import { readFileSync } from 'node:fs';
import { fillFromPast } from '../../dist/forecast/prepare.js';
import { coarsen, parseSeries } from '../../dist/forecast/read-series.js';
import { bucketEnds } from '../../dist/forecast/recipe/combine.js';
import { memberPaths } from '../../dist/forecast/recipe/members.js';
import { seriesInputs } from './series.mjs';

const WORST = 5;
const without = process.argv[process.argv.indexOf('--without') + 1];
const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;
const middle = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};
for (const [title, day, step] of [
  ['COARSE', 24, 3_600_000],
  ['FINE', 288, 300_000],
]) {
  const bySeries = [];
  for (const { file, time, value } of seriesInputs()) {
    if (process.argv.includes('--without') && file.includes(without)) continue;
    const read = parseSeries(readFileSync(file, 'utf8'), file, time, value);
    const observed = coarsen(read.observed, Math.round(step / read.stepMs));
    const filled = fillFromPast(observed, day);
    const ends = bucketEnds(day, day);
    const first = Math.min(7, Math.max(2, Math.floor((observed.length - day) / day / 3))) * day;
    const sums = new Map();
    for (
      let origin = Math.max(first, observed.length - 59 * day);
      origin + day <= observed.length;
      origin += day / 4
    ) {
      const paths = memberPaths(filled.subarray(0, origin), day, day);
      for (const [b, end] of ends.entries()) {
        const errors = [...paths].map(([name, path]) => {
          const misses = [];
          for (let i = b === 0 ? 0 : ends[b - 1]; i < end; i += 1)
            if (!Number.isNaN(observed[origin + i])) misses.push(Math.abs(observed[origin + i] - path[i]));
          return [name, misses.length === 0 ? Number.NaN : mean(misses)];
        });
        if (errors.some(([, error]) => Number.isNaN(error))) continue;
        const typical = middle(errors.map(([, error]) => error));
        for (const [name, error] of errors) {
          const list = sums.get(name) ?? ends.map(() => []);
          list[b].push(typical > 0 ? Math.min(WORST, error / typical) : error > 0 ? WORST : 1);
          sums.set(name, list);
        }
      }
    }
    bySeries.push(sums);
  }
  console.log(`const ${title}: Scores = {`);
  for (const name of new Set(bySeries.flatMap((sums) => [...sums.keys()]))) {
    const scores = [0, 1, 2].map((b) =>
      mean(
        bySeries.flatMap((sums) => (sums.get(name)?.[b].length > 0 ? [mean(sums.get(name)[b])] : [])),
      ).toFixed(2),
    );
    console.log(`  ${name}: [${scores.join(', ')}],`);
  }
  console.log('};');
}
