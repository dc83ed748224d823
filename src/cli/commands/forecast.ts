import type { Command } from 'commander';
import { defineErrors } from '../../base/errors.js';
import { formatRate } from '../../base/units.js';
import type { ModelFailure } from '../../forecast/index.js';
import { tableFor } from '../../pipeline/cycle-history.js';
import type { StoreClient } from '../../store/index.js';
import type { CliContext, OutputFormat } from '../context.js';
import { drawForecast } from '../forecast-chart.js';
import { outputOption } from '../options.js';
import { printRows, toJson } from '../output.js';
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
  readonly seriesId: string;
  readonly workloadId: number;
  readonly name: string;
  readonly signal: string;
  readonly startMs: number;
  readonly stepMs: number;
  readonly median: readonly number[];
  readonly levels: readonly number[];
  readonly quantiles: readonly (readonly number[])[];
  readonly mix: string;
  /** Models that failed on it or were left out, and why, as JSON. */
  readonly failures: string;
  readonly historySteps: number;
  readonly relativeToSeasonalNaive: number | null;
  readonly coverageP90: number | null;
  readonly coverageP99: number | null;
  readonly status: string;
  readonly refusal: string;
  readonly notes: readonly string[];
  /** Rates of the steps before its first, oldest first; bandwidth only. */
  readonly history?: readonly number[];
  /** Realised errors of earlier forecasts, by part of the horizon in seconds. */
  readonly accuracy?: readonly Accuracy[];
}

interface Accuracy {
  readonly bucket: string;
  readonly model: string;
  readonly forecasts: number;
  readonly meanAbsoluteError: number;
}

const HOUR_SECONDS = 3600;
const MIX_SHOWN = 6;

/** One forecast in a few lines: what comes, how wide the bands are, who says so, and how good it has been. */
export function renderForecast(forecast: StoredForecast): string {
  const quantile = (q: number): readonly number[] =>
    forecast.quantiles[forecast.levels.indexOf(q)] ?? forecast.median;
  const isRate = forecast.signal.endsWith('Bps');
  const amount = (value: number): string => (isRate ? formatRate(value) : value.toPrecision(3));
  const mix = (JSON.parse(forecast.mix) as { model: string; weight: number }[])
    .filter((entry) => entry.weight > 0)
    .slice(0, MIX_SHOWN)
    .map((entry) => `${entry.model} ${Math.round(entry.weight * 100)} %`)
    .join(', ');
  const percent = (share: number | null): string => (share === null ? '–' : `${(share * 100).toFixed(1)} %`);
  const seconds = (forecast.median.length * forecast.stepMs) / 1000;
  const naive = forecast.relativeToSeasonalNaive;
  const upTo = (values: readonly number[]): string => amount(Math.max(0, ...values));
  const learning = forecast.status === 'learning' ? ' (learning: bands may be wrong until it is older)' : '';
  return [
    `${forecast.name || `workload ${forecast.workloadId}`} (${forecast.workloadId}), ${forecast.signal}, next ${duration(seconds)}${learning}`,
    ...(forecast.status === 'refused'
      ? [`  refused: ${forecast.refusal}`]
      : [
          ...drawForecast(
            {
              history: forecast.history ?? [],
              median: forecast.median,
              bands: [quantile(0.9), quantile(0.99)],
            },
            amount,
          ),
          `  median ● up to ${upTo(forecast.median)}, ▒ P90 ${upTo(quantile(0.9))}, ░ P99 ${upTo(quantile(0.99))}`,
          `  mix ${mix}`,
          `  ${forecast.historySteps} steps of history; realised error ${naive === null ? 'not comparable with' : `${naive.toFixed(2)} ×`} seasonal naive; covered P90 ${percent(forecast.coverageP90)}, P99 ${percent(forecast.coverageP99)}`,
          ...accuracyLines(forecast.accuracy ?? [], amount),
          ...forecast.notes.map((note) => `  ${note}`),
        ]),
    ...failuresOf(forecast).map(
      ({ model, reason }) => `  ${model} could not be used and is replaced by the others: ${reason}`,
    ),
    '',
  ].join('\n');
}

const failuresOf = ({ failures }: StoredForecast): readonly ModelFailure[] =>
  failures === '' ? [] : (JSON.parse(failures) as ModelFailure[]);

const duration = (seconds: number): string =>
  seconds >= 2 * HOUR_SECONDS ? `${Math.round(seconds / HOUR_SECONDS)} h` : `${Math.round(seconds)} s`;

/** For each part of the horizon how far such forecasts were off, beside repeating the season. */
function accuracyLines(accuracy: readonly Accuracy[], amount: (value: number) => string): string[] {
  return accuracy
    .filter((row) => row.model === 'ensemble')
    .sort((a, b) => Number.parseInt(a.bucket, 10) - Number.parseInt(b.bucket, 10))
    .map(({ bucket, meanAbsoluteError, forecasts }) => {
      const naive = accuracy.find((row) => row.bucket === bucket && row.model === 'snd');
      const [from = 0, until = 0] = bucket.split('-').map(Number);
      const beside = naive === undefined ? '' : `, seasonal naive ${amount(naive.meanAbsoluteError)}`;
      return `  ${duration(from)} to ${duration(until)} ahead: off by ${amount(meanAbsoluteError)} on average of ${forecasts}${beside}`;
    });
}

/** A forecast with the rates before it, twice as long as its horizon, and what earlier ones turned out to be worth. */
async function withPast(
  client: Pick<StoreClient, 'query'>,
  gateway: string,
  forecast: StoredForecast,
): Promise<StoredForecast> {
  const { workloadId, signal, stepMs } = forecast;
  const startMs = Number(forecast.startMs);
  const steps = 2 * forecast.median.length;
  const column = signal === 'bandwidthOutBps' ? 'octetsOut' : signal === 'bandwidthInBps' ? 'octetsIn' : '';
  const rows =
    column === '' || steps === 0
      ? []
      : await client.query<{ step: number; bps: number }>(
          `SELECT intDiv(toUnixTimestamp(time) - {from:UInt32}, {step:UInt32}) AS step, toFloat64(sum(${column})) * 8 / {step:UInt32} AS bps
           FROM ${tableFor(stepMs)} WHERE gateway = {gateway:String} AND workloadId = {workloadId:UInt32}
             AND time >= toDateTime({from:UInt32}) AND time < toDateTime({to:UInt32}) GROUP BY step`,
          {
            params: {
              gateway,
              workloadId,
              from: Math.round((startMs - steps * stepMs) / 1000),
              to: Math.round(startMs / 1000),
              step: Math.max(1, Math.round(stepMs / 1000)),
            },
          },
        );
  const history = new Array<number>(rows.length === 0 ? 0 : steps).fill(0);
  for (const { step, bps } of rows) history[Number(step)] = Number(bps);
  const accuracy = await client.query<Accuracy>(
    `SELECT bucket, model, toUInt32(count()) AS forecasts, avg(e.meanAbsoluteError) AS meanAbsoluteError FROM forecast_errors AS e
     WHERE gateway = {gateway:String} AND seriesId = {id:String} AND model IN ('ensemble', 'snd')
     GROUP BY bucket, model`,
    { params: { gateway, id: forecast.seriesId } },
  );
  return { ...forecast, history, accuracy };
}

interface ForecastStep {
  readonly forecast: StoredForecast;
  readonly step: number;
}

const stepsOf = (forecast: StoredForecast): ForecastStep[] =>
  forecast.median.map((_, step) => ({ forecast, step }));

/** One step of one forecast a row. */
const STEP_COLUMNS = [
  { title: 'seriesId', value: ({ forecast }: ForecastStep) => forecast.seriesId },
  { title: 'name', value: ({ forecast }: ForecastStep) => forecast.name },
  { title: 'signal', value: ({ forecast }: ForecastStep) => forecast.signal },
  {
    title: 'time',
    value: ({ forecast, step }: ForecastStep) =>
      new Date(Number(forecast.startMs) + step * forecast.stepMs).toISOString(),
  },
  { title: 'median', value: ({ forecast, step }: ForecastStep) => forecast.median[step] },
  ...[0.5, 0.9, 0.95, 0.99].map((level) => ({
    title: `p${Math.round(level * 100)}`,
    value: ({ forecast, step }: ForecastStep) =>
      forecast.quantiles[forecast.levels.indexOf(level)]?.[step] ?? null,
  })),
];

/** `tidegate forecast show [WORKLOAD]`: the newest forecasts of the running gateway. */
export function register(program: Command, context: CliContext): void {
  const forecast = program.command('forecast').description('what workloads will need');
  registerBacktest(forecast, context);
  registerBorrow(forecast, context);
  forecast
    .command('show')
    .description('the newest forecast of each workload, with its bands and how good it has been')
    .argument('[workload]', 'number or part of the name; all when absent')
    .option('--signal <signal>', 'bandwidthOutBps, bandwidthInBps, cpuCores, …', 'bandwidthOutBps')
    .option('--gateway <name>', 'which gateway, when several run here')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(
      async (
        wanted: string | undefined,
        options: { signal: string; gateway?: string; output: OutputFormat },
      ) => {
        const found = await withStore(options, async (client, gateway) => {
          const forecasts = await client.query<StoredForecast>(
            `SELECT f.seriesId AS seriesId, f.workloadId AS workloadId, w.name AS name, f.signal AS signal, toUnixTimestamp64Milli(f.start) AS startMs, f.stepMs AS stepMs,
               f.median AS median, f.levels AS levels, f.quantiles AS quantiles, f.mix AS mix, f.members AS failures, f.historySteps AS historySteps,
               f.relativeToSeasonalNaive AS relativeToSeasonalNaive, f.coverageP90 AS coverageP90, f.coverageP99 AS coverageP99,
               f.status AS status, f.refusal AS refusal, f.notes AS notes
             FROM (SELECT * FROM forecasts WHERE gateway = {gateway:String} AND signal = {signal:String}
                   ORDER BY created DESC LIMIT 1 BY seriesId) AS f
             LEFT JOIN (SELECT workloadId, argMax(name, updated) AS name FROM workloads WHERE gateway = {gateway:String} GROUP BY workloadId) AS w
               ON w.workloadId = f.workloadId
             WHERE {wanted:String} = '' OR toString(f.workloadId) = {wanted:String} OR positionCaseInsensitive(w.name, {wanted:String}) > 0
             ORDER BY arraySum(f.median) DESC`,
            { params: { gateway, signal: options.signal, wanted: wanted ?? '' } },
          );
          return Promise.all(forecasts.map((one) => withPast(client, gateway, one)));
        });
        if (found.length === 0)
          throw fail('TG_CLI_NO_FORECAST', { which: wanted === undefined ? '' : ` of ${wanted}` });
        if (options.output === 'json') {
          const plain = found.map((f) => ({
            ...f,
            startMs: Number(f.startMs),
            mix: JSON.parse(f.mix) as unknown,
            failures: failuresOf(f),
          }));
          context.stdout.write(`${toJson(plain)}\n`);
        } else if (options.output === 'csv') {
          printRows<ForecastStep>(context, 'csv', found.flatMap(stepsOf), STEP_COLUMNS);
        } else {
          context.stdout.write(found.map(renderForecast).join('\n'));
        }
      },
    );
}
