import { forecastM4, m4Errors, owa } from '../../forecast/recipe/m4.js';
import { type Row, readText } from './rows.js';

/** Series of the M4 competition's files: one a row, its name first, empty cells at the end. */
const m4Rows = (file: string): Map<string, Float64Array> =>
  new Map(
    readText(file)
      .split(/\r?\n/)
      .slice(1)
      .filter((line) => line !== '')
      .map((line) => {
        const [name, ...values] = line.replaceAll('"', '').split(',');
        return [name!, Float64Array.from(values.filter((v) => v !== '' && v !== 'NA').map(Number))];
      }),
  );

/** Scores the files of the competition: hourly, horizon as long as the test rows. */
export function scoreM4(
  train: string,
  test: string,
  onSeries: (done: number, of: number) => void = () => undefined,
): { rows: Row[]; owa: number; smape: number; mase: number; naiveOwa: number } {
  const tests = m4Rows(test);
  const rows: Row[] = [];
  const naive = { smape: 0, mase: 0 };
  const trains = m4Rows(train);
  for (const [name, history] of trains) {
    onSeries(rows.length, trains.size);
    const actual = tests.get(name);
    if (actual === undefined) continue;
    const score = m4Errors(history, actual, forecastM4(history, actual.length));
    const n = history.length;
    const repeated = m4Errors(
      history,
      actual,
      Float64Array.from({ length: actual.length }, (_, i) => history[n - 24 + (i % 24)]!),
    );
    naive.smape += repeated.smape;
    naive.mase += repeated.mase;
    rows.push({
      file: name,
      points: n,
      mix: [],
      mase: score.mase,
      smape: score.smape,
      relativeToSeasonalNaive: repeated.mase > 0 ? score.mase / repeated.mase : null,
      coverage: { p90: null, p99: null },
    });
  }
  const mean = (pick: (row: Row) => number): number =>
    rows.reduce((sum, row) => sum + pick(row), 0) / rows.length;
  const smape = mean((row) => row.smape ?? 0);
  const mase = mean((row) => row.mase ?? 0);
  return {
    rows,
    smape,
    mase,
    owa: owa(smape, mase),
    naiveOwa: owa(naive.smape / rows.length, naive.mase / rows.length),
  };
}
