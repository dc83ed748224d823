import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import { defineErrors, messageOf } from '../../base/errors.js';
import { parseDurationMs } from '../../base/units.js';
import { backtestSeries, type SeriesScore } from '../../forecast/backtest.js';
import { coarsen, parseSeries } from '../../forecast/read-series.js';
import { forecastM4, m4Errors, owa } from '../../forecast/recipe/m4.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { renderTable, toJson } from '../output.js';

const fail = defineErrors({
  TG_CLI_BACKTEST_INPUT: {
    message: 'nothing to backtest',
    hint: 'name CSV files, or --m4 TRAIN.csv TEST.csv',
    exitCode: 2,
  },
  TG_CLI_BACKTEST_FILE: { message: 'cannot read {file}: {reason}', hint: 'check the name', exitCode: 2 },
  TG_CLI_BACKTEST_STEPS: {
    message: '{name} "{text}" is not a whole number of steps of {step} s, nor a duration of some',
    hint: 'write it like 288 or 1d',
    exitCode: 2,
  },
});

interface Options {
  readonly timestampColumn: string;
  readonly valueColumn: string;
  readonly season: string;
  readonly horizon: string;
  readonly step?: string;
  readonly models?: string;
  readonly m4?: readonly string[];
  readonly output: OutputFormat;
}

interface Row extends Partial<SeriesScore> {
  readonly file: string;
}

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw fail('TG_CLI_BACKTEST_FILE', { file, reason: messageOf(error) });
  }
};

/** `288` = steps, `1d` = a duration. */
function stepsOf(name: string, text: string, stepMs: number): number {
  const first = text.split(',')[0]!.trim();
  const steps = /^\d+$/.test(first) ? Number(first) : Math.round(parseDurationMs(first) / stepMs);
  if (steps < 1 || !Number.isSafeInteger(steps))
    throw fail('TG_CLI_BACKTEST_STEPS', { name, text, step: stepMs / 1000 });
  return steps;
}

/** Series of the M4 competition's files: one a row, its name first, empty cells at the end. */
const m4Rows = (file: string): Map<string, Float64Array> =>
  new Map(
    read(file)
      .split(/\r?\n/)
      .slice(1)
      .filter((line) => line !== '')
      .map((line) => {
        const [name, ...values] = line.replaceAll('"', '').split(',');
        return [name!, Float64Array.from(values.filter((v) => v !== '' && v !== 'NA').map(Number))];
      }),
  );

function scoreM4(
  train: string,
  test: string,
): { rows: Row[]; owa: number; smape: number; mase: number; naiveOwa: number } {
  const tests = m4Rows(test);
  const rows: Row[] = [];
  const naive = { smape: 0, mase: 0 };
  for (const [name, history] of m4Rows(train)) {
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

/** Geometric mean of relative errors, share of series worse than naive, mean coverage of series old enough. */
export function summarise(rows: readonly Row[]): {
  geometricMeanRelative: number | null;
  shareWorse: number | null;
  coverage: { p90: number | null; p99: number | null };
} {
  const relative = rows.map((row) => row.relativeToSeasonalNaive).filter((r) => typeof r === 'number');
  const mature = rows.filter((row) => row.mature === true);
  const mean = (values: readonly number[]): number | null =>
    values.length === 0 ? null : values.reduce((sum, v) => sum + v, 0) / values.length;
  const logs = mean(relative.map((r) => Math.log(Math.max(r, 1e-9))));
  const coverage = (level: 'p90' | 'p99'): number | null =>
    mean(mature.map((row) => row.coverage?.[level]).filter((c) => typeof c === 'number'));
  return {
    geometricMeanRelative: logs === null ? null : Math.exp(logs),
    shareWorse: mean(relative.map((r) => (r > 1 ? 1 : 0))),
    coverage: { p90: coverage('p90'), p99: coverage('p99') },
  };
}

/** `tidegate forecast backtest`: how good the forecasts would have been on any series, from its past only. */
export function registerBacktest(forecast: Command, context: CliContext): void {
  forecast
    .command('backtest')
    .description('how good the forecasts would have been on series in CSV files, at rolling origins')
    .argument('[files...]', 'CSV files with a header')
    .option('--timestamp-column <name>', 'dates, or seconds or milliseconds since 1970', 'timestamp')
    .option('--value-column <name>', 'numbers; empty = not observed', 'value')
    .option('--season <length>', 'shortest season, steps (288) or a duration (1d)', '1d')
    .option('--horizon <length>', 'how far ahead, steps or a duration', '1d')
    .option('--step <duration>', 'average to longer steps first, e.g. 1h')
    .option('--models <names>', 'only these members, separated by commas')
    .addOption(new Option('--m4 <files...>', 'TRAIN.csv TEST.csv, scored as in the M4 competition, hourly'))
    .addOption(outputOption(['table', 'json']))
    .action((files: string[], options: Options) => {
      const started = process.cpuUsage();
      const isM4 = options.m4 !== undefined;
      if (files.length === 0 && !isM4) throw fail('TG_CLI_BACKTEST_INPUT');
      if (isM4 && options.m4.length !== 2) throw fail('TG_CLI_BACKTEST_INPUT');
      const rows: Row[] = [];
      for (const [i, file] of files.entries()) {
        if (context.interactive)
          context.stderr.write(`\r${i + 1} / ${files.length} ${basename(file)}\u001b[K`);
        const series = parseSeries(read(file), file, options.timestampColumn, options.valueColumn);
        const factor =
          options.step === undefined
            ? 1
            : stepsOf('--step', `${parseDurationMs(options.step)}ms`, series.stepMs);
        const stepMs = factor * series.stepMs;
        rows.push({
          file,
          ...backtestSeries(factor === 1 ? series.observed : coarsen(series.observed, factor), {
            season: stepsOf('--season', options.season, stepMs),
            horizon: stepsOf('--horizon', options.horizon, stepMs),
            ...(options.models === undefined ? {} : { models: options.models.split(',') }),
          }),
        });
      }
      if (context.interactive && files.length > 0) context.stderr.write('\r\u001b[K');
      const m4 = isM4 ? scoreM4(options.m4[0]!, options.m4[1]!) : undefined;
      if (m4 !== undefined) rows.push(...m4.rows);
      const used = process.cpuUsage(started);
      const result = {
        series: rows,
        summary: {
          ...summarise(rows),
          ...(m4 === undefined
            ? {}
            : { owa: m4.owa, smape: m4.smape, mase: m4.mase, seasonalNaiveOwa: m4.naiveOwa }),
        },
        cpuSeconds: (used.user + used.system) / 1e6,
      };
      if (options.output === 'json') {
        context.stdout.write(`${toJson(result)}\n`);
        return;
      }
      const show = (value: number | null | undefined, digits: number): string =>
        typeof value === 'number' ? value.toFixed(digits) : '–';
      context.stdout.write(
        renderTable(rows, [
          { title: 'series', value: (row) => basename(row.file) },
          { title: 'points', value: (row) => row.points, align: 'right' },
          { title: 'relative', value: (row) => show(row.relativeToSeasonalNaive, 3), align: 'right' },
          { title: 'MASE', value: (row) => show(row.mase, 3), align: 'right' },
          { title: 'sMAPE', value: (row) => show(row.smape, 2), align: 'right' },
          { title: 'P90', value: (row) => show(row.coverage?.p90, 3), align: 'right' },
          { title: 'P99', value: (row) => show(row.coverage?.p99, 3), align: 'right' },
          { title: 'status', value: (row) => row.refusal ?? row.status ?? '' },
        ]),
      );
      context.stdout.write(`${toJson(result.summary)}\n`);
    });
}
