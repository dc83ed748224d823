import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import { defineErrors, TidegateError } from '../../base/errors.js';
import { parseDurationMs } from '../../base/units.js';
import { backtestSeries, refusedSeries } from '../../forecast/backtest.js';
import { assertModels } from '../../forecast/models.js';
import { scoreNowcast } from '../../forecast/nowcast/score.js';
import { coarsen, type RegularSeries, readCsv, seriesOf, valueColumns } from '../../forecast/read-series.js';
import { scoreM4 } from '../backtest/m4-files.js';
import { type Row, readText, summarise } from '../backtest/rows.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { printRows, toJson } from '../output.js';
import { progressOn } from '../progress.js';

const fail = defineErrors({
  TG_CLI_BACKTEST_INPUT: {
    message: 'nothing to backtest',
    hint: 'name CSV files, or --m4 TRAIN.csv TEST.csv',
    exitCode: 2,
  },
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
  readonly nowcast?: string | true;
  readonly m4?: readonly string[];
  readonly output: OutputFormat;
}

/** A series to be scored. */
interface Wanted {
  readonly file: string;
  readonly column?: string;
  readonly read: () => RegularSeries | TidegateError;
}

/** `288` = steps, `1d` = a duration. */
function stepsOf(name: string, text: string, stepMs: number): number {
  const first = text.split(',')[0]!.trim();
  const steps = /^\d+$/.test(first) ? Number(first) : Math.round(parseDurationMs(first) / stepMs);
  if (steps < 1 || !Number.isSafeInteger(steps))
    throw fail('TG_CLI_BACKTEST_STEPS', { name, text, step: stepMs / 1000 });
  return steps;
}

/** One file without usable rows says so in its row; the others are scored all the same. */
function orRefusal<T>(read: () => T): T | TidegateError {
  try {
    return read();
  } catch (error) {
    if (error instanceof TidegateError && error.code === 'TG_FORECAST_CSV') return error;
    throw error;
  }
}

/** `tidegate forecast backtest`: how good the forecasts would have been on any series, from its past only. */
export function registerBacktest(forecast: Command, context: CliContext): void {
  forecast
    .command('backtest')
    .description('how good the forecasts would have been on series in CSV files, at rolling origins')
    .argument('[files...]', 'CSV files with a header')
    .option('--timestamp-column <name>', 'dates, or s, ms, µs or ns since 1970', 'timestamp')
    .option('--value-column <name>', 'numbers, empty = not observed; several separated by commas', 'value')
    .option('--season <length>', 'shortest season, steps (288) or a duration (1d)', '1d')
    .option('--horizon <length>', 'how far ahead, steps or a duration', '1d')
    .option('--step <duration>', 'average to longer steps first, e.g. 1h')
    .option('--models <names>', 'only these members, separated by commas; `recipe` = all of the recipe')
    .option(
      '--nowcast [ahead]',
      'also forecast every step so far ahead (15m), and compare with the last value',
    )
    .addOption(new Option('--m4 <files...>', 'TRAIN.csv TEST.csv, scored as in the M4 competition, hourly'))
    .addOption(outputOption(['table', 'json', 'csv']))
    .action((files: string[], options: Options) => {
      const started = process.cpuUsage();
      const isM4 = options.m4 !== undefined;
      if (files.length === 0 && !isM4) throw fail('TG_CLI_BACKTEST_INPUT');
      if (isM4 && options.m4.length !== 2) throw fail('TG_CLI_BACKTEST_INPUT');
      const models = options.models?.split(',').map((name) => name.trim());
      if (models !== undefined) assertModels(models);
      const rows: Row[] = [];
      const progress = progressOn(context);
      const wanted = files.flatMap((file): Wanted[] => {
        const text = readText(file);
        const table = orRefusal(() => readCsv(text, file));
        if (table instanceof TidegateError) return [{ file, read: () => table }];
        const columns = valueColumns(table, file, options.valueColumn);
        return columns.map((column) => ({
          file,
          read: () => orRefusal(() => seriesOf(table, file, options.timestampColumn, column)),
          ...(columns.length > 1 ? { column } : {}),
        }));
      });
      for (const [i, { file, read, ...named }] of wanted.entries()) {
        const series = read();
        if (series instanceof TidegateError) {
          rows.push({ file, ...named, ...refusedSeries(0, series.message) });
          continue;
        }
        const factor =
          options.step === undefined
            ? 1
            : stepsOf('--step', `${parseDurationMs(options.step)}ms`, series.stepMs);
        const stepMs = factor * series.stepMs;
        const observed = factor === 1 ? series.observed : coarsen(series.observed, factor);
        const season = stepsOf('--season', options.season, stepMs);
        const score = backtestSeries(observed, {
          season,
          horizon: stepsOf('--horizon', options.horizon, stepMs),
          startMs: series.startMs,
          stepMs,
          onOrigin: (done, of) => progress.show('backtest', i + done / of, wanted.length, basename(file)),
          ...(models === undefined ? {} : { models }),
        });
        const near = options.nowcast === true ? '15m' : options.nowcast;
        rows.push({
          file,
          ...named,
          ...score,
          ...(near === undefined
            ? {}
            : { nowcast: scoreNowcast(observed, season, stepsOf('--nowcast', near, stepMs)) ?? null }),
        });
      }
      const m4 = isM4
        ? scoreM4(options.m4[0]!, options.m4[1]!, (done, of) =>
            progress.show('M4', done, of, `${done} of ${of}`),
          )
        : undefined;
      progress.end();
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
      printRows<Row>(context, options.output, rows, [
        {
          title: 'series',
          value: (row) => [basename(row.file), ...(row.column === undefined ? [] : [row.column])].join(':'),
        },
        { title: 'points', value: (row) => row.points, align: 'right' },
        { title: 'relative', value: (row) => show(row.relativeToSeasonalNaive, 3), align: 'right' },
        { title: 'MASE', value: (row) => show(row.mase, 3), align: 'right' },
        { title: 'sMAPE', value: (row) => show(row.smape, 2), align: 'right' },
        { title: 'P90', value: (row) => show(row.coverage?.p90, 3), align: 'right' },
        { title: 'P99', value: (row) => show(row.coverage?.p99, 3), align: 'right' },
        { title: 'MSIS', value: (row) => show(row.msis, 2), align: 'right' },
        ...(options.nowcast === undefined
          ? []
          : [
              {
                title: 'nowcast',
                value: (row: Row) => show(row.nowcast?.relativeToPersistence, 3),
                align: 'right' as const,
              },
            ]),
        { title: 'status', value: (row) => row.refusal ?? row.status ?? '' },
      ]);
      if (options.output === 'table') context.stdout.write(`${toJson(result.summary)}\n`);
    });
}
