import { basename } from 'node:path';
import type { Command } from 'commander';
import { defineErrors } from '../../base/errors.js';
import { parseDurationMs } from '../../base/units.js';
import { type BorrowScore, scoreBorrowing } from '../../forecast/borrow-score.js';
import { MINIMUM_POINTS } from '../../forecast/prepare.js';
import { coarsen, parseSeries } from '../../forecast/read-series.js';
import { readText } from '../backtest/rows.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { printRows, toJson } from '../output.js';

const fail = defineErrors({
  TG_CLI_BORROW_FILES: {
    message: 'borrowing needs at least two series of the same step',
    hint: 'name CSV files of workloads that are alike, or --step to average them to one step',
    exitCode: 2,
  },
  TG_CLI_BORROW_VISIBLE: {
    message: 'a forecast needs {least} visible steps at least',
    hint: 'raise --visible or lower --step',
    exitCode: 2,
  },
});

interface Options {
  readonly timestampColumn: string;
  readonly valueColumns: string;
  readonly visible: string;
  readonly step: string;
  readonly output: OutputFormat;
}

interface Row extends BorrowScore {
  readonly series: string;
}

const DAY_MS = 86_400_000;

/** `tidegate forecast borrow`: what the history of alike workloads is worth to one whose own is hidden. */
export function registerBorrow(forecast: Command, context: CliContext): void {
  forecast
    .command('borrow')
    .description('hide the history of each series in turn and forecast it with the shape of the others')
    .argument('<files...>', 'CSV files of workloads that are alike')
    .option('--timestamp-column <name>', 'dates, or seconds or milliseconds since 1970', 'timestamp')
    .option('--value-columns <names>', 'one series each, separated by commas', 'value')
    .option('--visible <duration>', 'history that is left', '6h')
    .option('--step <duration>', 'average to this step first', '1h')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action((files: string[], options: Options) => {
      const stepMs = parseDurationMs(options.step);
      const all = files.flatMap((file) =>
        options.valueColumns.split(',').map((column) => {
          const {
            startMs,
            stepMs: own,
            observed,
          } = parseSeries(readText(file), file, options.timestampColumn, column.trim());
          const factor = Math.max(1, Math.round(stepMs / own));
          // Cut to whole steps of the clock, so that hours are hours in every file.
          const skip = Math.round(((stepMs - (startMs % stepMs)) % stepMs) / own);
          const values = coarsen(observed.subarray(skip), factor);
          return {
            name: `${basename(file, '.csv')}:${column.trim()}`,
            history: { startMs: Math.ceil(startMs / stepMs) * stepMs, stepMs, values },
          };
        }),
      );
      if (all.length < 2) throw fail('TG_CLI_BORROW_FILES');
      const visible = Math.max(1, Math.round(parseDurationMs(options.visible) / stepMs));
      if (visible < MINIMUM_POINTS) throw fail('TG_CLI_BORROW_VISIBLE', { least: MINIMUM_POINTS });
      const rows = all.flatMap((one): Row[] => {
        const donors = all.filter((other) => other !== one).map((other) => ({ ...other, similarity: 1 }));
        const score = scoreBorrowing(one.history, donors, Math.round(DAY_MS / stepMs), visible);
        return score === undefined ? [] : [{ series: one.name, ...score }];
      });
      const logs = rows.flatMap((row) => (row.borrowedToFlat ? [Math.log(row.borrowedToFlat)] : []));
      const summary = {
        geometricMeanBorrowedToFlat:
          logs.length > 0 ? Math.exp(logs.reduce((sum, value) => sum + value, 0) / logs.length) : null,
      };
      if (options.output === 'json') {
        context.stdout.write(`${toJson({ series: rows, summary })}\n`);
        return;
      }
      const digits = (value: number | null): string => (value === null ? '–' : value.toPrecision(4));
      printRows<Row>(context, options.output, rows, [
        { title: 'series', value: (row) => row.series },
        { title: 'flat', value: (row) => digits(row.flatMae), align: 'right' },
        { title: 'alone', value: (row) => digits(row.aloneMae), align: 'right' },
        { title: 'borrowed', value: (row) => digits(row.borrowedMae), align: 'right' },
        { title: 'borrowed / flat', value: (row) => digits(row.borrowedToFlat), align: 'right' },
      ]);
      if (options.output === 'table') context.stdout.write(`${toJson(summary)}\n`);
    });
}
