import type { Command } from 'commander';
import { defineErrors } from '../../base/errors.js';
import { formatRate } from '../../base/units.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { toJson } from '../output.js';
import { sparkline } from '../status-screen.js';
import { registerBacktest } from './forecast-backtest.js';
import { registerBorrow } from './forecast-borrow.js';
import { withStore } from './query.js';

const fail = defineErrors({
  TG_CLI_NO_FORECAST: {
    message: 'there is no forecast{which} yet',
    hint: 'wait for the next planning cycle, or name another workload (`tidegate workloads list`)',
  },
});

interface StoredForecast {
  readonly workloadId: number;
  readonly name: string;
  readonly signal: string;
  readonly startMs: number;
  readonly stepMs: number;
  readonly median: readonly number[];
  readonly levels: readonly number[];
  readonly quantiles: readonly (readonly number[])[];
  readonly mix: string;
  readonly historySteps: number;
  readonly relativeToSeasonalNaive: number | null;
  readonly coverageP90: number | null;
  readonly coverageP99: number | null;
  readonly status: string;
  readonly refusal: string;
}

const WIDTH = 60;

/** A path squeezed into so many columns, by the mean of each. */
function squeeze(values: readonly number[], width: number): number[] {
  const columns = Math.min(width, values.length);
  return Array.from({ length: columns }, (_, i) => {
    const part = values.slice(
      Math.floor((i * values.length) / columns),
      Math.floor(((i + 1) * values.length) / columns),
    );
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}

/** One forecast in a few lines: what comes, how wide the bands are, who says so, and how good it has been. */
export function renderForecast(forecast: StoredForecast): string {
  const quantile = (q: number): readonly number[] =>
    forecast.quantiles[forecast.levels.indexOf(q)] ?? forecast.median;
  const mix = (JSON.parse(forecast.mix) as { model: string; weight: number }[])
    .map((entry) =>
      entry.weight > 0 ? `${entry.model} ${Math.round(entry.weight * 100)} %` : `(${entry.model})`,
    )
    .join(', ');
  const percent = (share: number | null): string => (share === null ? '–' : `${(share * 100).toFixed(1)} %`);
  const seconds = (forecast.median.length * forecast.stepMs) / 1000;
  const naive = forecast.relativeToSeasonalNaive;
  const show = (name: string, values: readonly number[]): string => {
    const line = squeeze(values, WIDTH);
    return `  ${name}  ${sparkline(line)}  up to ${formatRate(Math.max(0, ...values))}`;
  };
  return [
    `${forecast.name} (${forecast.workloadId}), ${forecast.signal}, next ${seconds} s, ${forecast.status}`,
    ...(forecast.status === 'refused'
      ? [`  refused: ${forecast.refusal}`]
      : [
          show('P50', forecast.median),
          show('P90', quantile(0.9)),
          show('P99', quantile(0.99)),
          `  mix ${mix}`,
          `  ${forecast.historySteps} steps of history; error ${naive === null ? 'not comparable with' : `${naive.toFixed(2)} ×`} seasonal naive; held-back coverage P90 ${percent(forecast.coverageP90)}, P99 ${percent(forecast.coverageP99)}`,
        ]),
    '',
  ].join('\n');
}

/** `tidegate forecast show [WORKLOAD]`: the newest forecasts of the running gateway. */
export function register(program: Command, context: CliContext): void {
  const forecast = program.command('forecast').description('what workloads will need');
  registerBacktest(forecast, context);
  registerBorrow(forecast, context);
  forecast
    .command('show')
    .description('the newest forecast of each workload, with its bands and how good it has been')
    .argument('[workload]', 'number or part of the name; all when absent')
    .option('--signal <signal>', 'bandwidthOutBps or bandwidthInBps', 'bandwidthOutBps')
    .option('--gateway <name>', 'which gateway, when several run here')
    .addOption(outputOption(['table', 'json']))
    .action(
      async (
        wanted: string | undefined,
        options: { signal: string; gateway?: string; output: OutputFormat },
      ) => {
        const found = await withStore(options, (client, gateway) =>
          client.query<StoredForecast>(
            `SELECT f.workloadId AS workloadId, w.name AS name, f.signal AS signal, toUnixTimestamp64Milli(f.start) AS startMs, f.stepMs AS stepMs,
               f.median AS median, f.levels AS levels, f.quantiles AS quantiles, f.mix AS mix, f.historySteps AS historySteps,
               f.relativeToSeasonalNaive AS relativeToSeasonalNaive, f.coverageP90 AS coverageP90, f.coverageP99 AS coverageP99,
               f.status AS status, f.refusal AS refusal
             FROM (SELECT * FROM forecasts WHERE gateway = {gateway:String} AND signal = {signal:String}
                   ORDER BY created DESC LIMIT 1 BY seriesId) AS f
             LEFT JOIN (SELECT workloadId, argMax(name, updated) AS name FROM workloads WHERE gateway = {gateway:String} GROUP BY workloadId) AS w
               ON w.workloadId = f.workloadId
             WHERE {wanted:String} = '' OR toString(f.workloadId) = {wanted:String} OR positionCaseInsensitive(w.name, {wanted:String}) > 0
             ORDER BY arraySum(f.median) DESC`,
            { params: { gateway, signal: options.signal, wanted: wanted ?? '' } },
          ),
        );
        if (found.length === 0)
          throw fail('TG_CLI_NO_FORECAST', { which: wanted === undefined ? '' : ` of ${wanted}` });
        if (options.output === 'json') {
          const plain = found.map((f) => ({
            ...f,
            startMs: Number(f.startMs),
            mix: JSON.parse(f.mix) as unknown,
          }));
          context.stdout.write(`${toJson(plain)}\n`);
        } else {
          context.stdout.write(found.map(renderForecast).join('\n'));
        }
      },
    );
}
