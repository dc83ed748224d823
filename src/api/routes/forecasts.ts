import { z } from 'zod';
import { seriesIdOf, tableFor } from '../../pipeline/cycle-history.js';
import type { ApiApp } from '../app.js';
import type { ApiDependencies } from '../dependencies.js';
import { apiError } from '../errors.js';
import { Evidence } from '../evidence.js';
import { forecastPath, path, plainText, sqlBehind } from '../schemas.js';
import { answers } from './answers.js';
import { workloadName } from './flows.js';

const SIGNALS = [
  'bandwidthOutBps',
  'bandwidthInBps',
  'packetsPerSecond',
  'flowsPerSecond',
  'cpuCores',
  'memoryBytes',
] as const;
type Signal = (typeof SIGNALS)[number];

/** SQL of a signal's actual value per second over a rollup, and the factor to its unit. */
const ACTUAL: Readonly<Partial<Record<Signal, string>>> = {
  bandwidthOutBps: 'sum(octetsOut) * 8',
  bandwidthInBps: 'sum(octetsIn) * 8',
  packetsPerSecond: 'sum(packetsOut + packetsIn)',
  flowsPerSecond: 'sum(flows)',
};

interface Row {
  readonly seriesId: string;
  readonly signal: Signal;
  readonly createdMs: number;
  readonly startMs: number;
  readonly stepMs: number;
  readonly median: number[];
  readonly levels: number[];
  readonly quantiles: number[][];
  readonly mix: string;
  readonly failures: string;
  readonly notes: string[];
  readonly historySteps: number;
  readonly relativeToSeasonalNaive: number | null;
  readonly coverageP90: number | null;
  readonly coverageP99: number | null;
  readonly status: string;
  readonly refusal: string;
}

const COLUMNS = `seriesId, signal, toFloat64(toUnixTimestamp64Milli(created)) AS createdMs, toFloat64(toUnixTimestamp64Milli(start)) AS startMs,
  toFloat64(stepMs) AS stepMs, median, levels, quantiles, mix, members AS failures, notes, historySteps, relativeToSeasonalNaive, coverageP90, coverageP99, status, refusal`;

const judged = {
  seriesId: z.string(),
  of: z.union([
    z.object({ kind: z.literal('workload'), workloadId: z.number(), name: z.string() }),
    z.object({ kind: z.literal('link'), linkId: z.string(), name: z.string() }),
  ]),
  signal: z.enum(SIGNALS),
  status: z
    .string()
    .describe('ok; learning: too little history for the bands to mean what they say; refused'),
  refusal: z.string(),
  mix: z.array(z.object({ model: z.string(), weight: z.number(), error: z.number().nullable() })),
  failures: z
    .array(z.object({ model: z.string(), reason: z.string() }))
    .describe('models that hung, crashed or failed on this series and were replaced by the others'),
  notes: z.array(z.string()).describe('season, borrowed history, events and changes that it rests on'),
  historySteps: z.number(),
  relativeToSeasonalNaive: z
    .number()
    .nullable()
    .describe('error on held-back history by that of repeating the season'),
  coverageP90: z.number().nullable().describe('share of held-back values below the 90 % quantile'),
  coverageP99: z.number().nullable(),
};

/** `/api/forecasts…`: what will be needed, how sure, and how good forecasts have been. */
export function registerForecasts(app: ApiApp, dependencies: ApiDependencies): void {
  const describe = (row: Row) => {
    const of = row.seriesId.split('/').at(-2) ?? '';
    const workloadId = Number(of);
    return {
      seriesId: row.seriesId,
      of: of.startsWith('link:')
        ? { kind: 'link' as const, linkId: of.slice(5), name: of.slice(5) }
        : { kind: 'workload' as const, workloadId, name: workloadName(dependencies, workloadId) },
      signal: row.signal,
      status: row.status,
      refusal: row.refusal,
      mix: JSON.parse(row.mix) as { model: string; weight: number; error: number | null }[],
      failures: row.failures === '' ? [] : (JSON.parse(row.failures) as { model: string; reason: string }[]),
      notes: row.notes,
      historySteps: row.historySteps,
      relativeToSeasonalNaive: row.relativeToSeasonalNaive,
      coverageP90: row.coverageP90,
      coverageP99: row.coverageP99,
    };
  };
  const pathOf = ({ createdMs, startMs, stepMs, median, levels, quantiles }: Row) => ({
    createdMs,
    startMs,
    stepMs,
    median,
    levels,
    quantiles,
  });

  app.get(
    '/api/forecasts',
    {
      schema: {
        tags: ['forecasts'],
        summary: 'The newest forecast of every series, the biggest first',
        querystring: z.object({ signal: z.enum(SIGNALS).default('bandwidthOutBps') }),
        response: answers(
          z.object({ forecasts: z.array(z.object({ ...judged, forecast: forecastPath })), sql: sqlBehind }),
        ),
      },
    },
    async (request) => {
      const evidence = new Evidence(dependencies.reader());
      const rows = await evidence.query<Row>(
        `SELECT ${COLUMNS} FROM forecasts WHERE gateway = {gateway:String} AND signal = {signal:String}
           AND created > now64(3) - INTERVAL 7 DAY ORDER BY created DESC LIMIT 1 BY seriesId`,
        { gateway: dependencies.gateway, signal: request.query.signal },
      );
      const size = (row: Row): number => row.median.reduce((sum, value) => sum + value, 0);
      return {
        forecasts: rows
          .sort((a, b) => size(b) - size(a))
          .map((row) => ({ ...describe(row), forecast: pathOf(row) })),
        sql: evidence.statements,
      };
    },
  );

  app.get(
    '/api/forecasts/series',
    {
      schema: {
        tags: ['forecasts'],
        summary:
          'One series: history, newest forecast with its bands, an earlier one to compare, realised errors',
        querystring: z.object({
          of: plainText(100)
            .regex(/^(\d{1,10}|link:.+)$/, 'expected the number of a workload, or link:ID')
            .describe('number of a workload, or `link:ID`'),
          signal: z.enum(SIGNALS).default('bandwidthOutBps'),
        }),
        response: answers(
          z.object({
            ...judged,
            forecast: forecastPath,
            earlier: forecastPath
              .nullable()
              .describe('the forecast one horizon before, for what has come since'),
            history: path
              .nullable()
              .describe('what came; null where only the store of forecasts knows the signal'),
            accuracy: z.array(
              z.object({
                day: z.string(),
                model: z.string(),
                forecasts: z.number(),
                meanAbsoluteError: z.number(),
                meanActual: z.number(),
                relativeError: z.number().nullable(),
                bias: z.number(),
              }),
            ),
            sql: sqlBehind,
          }),
        ),
      },
    },
    async (request) => {
      const { of, signal } = request.query;
      const { gateway } = dependencies;
      const number = /^\d+$/.test(of) ? dependencies.workloads().resolve(Number(of)) : undefined;
      const seriesId = seriesIdOf(gateway, number ?? of.slice('link:'.length), signal);
      const evidence = new Evidence(dependencies.reader());
      const [newest] = await evidence.query<Row>(
        `SELECT ${COLUMNS} FROM forecasts WHERE gateway = {gateway:String} AND seriesId = {series:String} ORDER BY created DESC LIMIT 1`,
        { gateway, series: seriesId },
      );
      if (newest === undefined) throw apiError('TG_API_NO_FORECAST', { signal, series: of });
      const horizonMs = newest.median.length * newest.stepMs;
      const [earlier] = await evidence.query<Row>(
        `SELECT ${COLUMNS} FROM forecasts WHERE gateway = {gateway:String} AND seriesId = {series:String} AND status != 'refused'
           AND created <= fromUnixTimestamp64Milli({before:Int64}) ORDER BY created DESC LIMIT 1`,
        { gateway, series: seriesId, before: newest.createdMs - horizonMs },
      );
      const history = await readHistory(evidence, gateway, newest, number, of);
      const accuracy = await evidence.query<{
        day: string;
        model: string;
        forecasts: number;
        meanAbsoluteError: number;
        meanActual: number;
        relativeError: number | null;
        bias: number;
      }>(
        `SELECT toString(toDate(realised, 'UTC')) AS day, model, toFloat64(count()) AS forecasts, avg(e.meanAbsoluteError) AS meanAbsoluteError,
           avg(e.scale) AS meanActual, if(sum(e.scale) > 0, sum(e.meanAbsoluteError) / sum(e.scale), NULL) AS relativeError,
           avg(arrayAvg(e.errors)) AS bias
         FROM forecast_errors AS e WHERE gateway = {gateway:String} AND seriesId = {series:String} GROUP BY day, model ORDER BY day, model`,
        { gateway, series: seriesId },
      );
      return {
        ...describe(newest),
        forecast: pathOf(newest),
        earlier: earlier === undefined ? null : pathOf(earlier),
        history,
        accuracy,
        sql: evidence.statements,
      };
    },
  );
}

/** What came before and since a forecast, at its step: twice the horizon, at least as much as was learnt from, at most 2000 steps. */
async function readHistory(
  evidence: Evidence,
  gateway: string,
  forecast: Row,
  workloadId: number | undefined,
  of: string,
): Promise<z.output<typeof path> | null> {
  const value = ACTUAL[forecast.signal];
  if (value === undefined) return null;
  const stepS = Math.round(forecast.stepMs / 1000);
  const steps = Math.min(2000, Math.max(2 * forecast.median.length, forecast.historySteps));
  const untilS = Math.floor(Date.now() / 1000 / stepS) * stepS;
  const fromS = untilS - steps * stepS;
  const rows = await evidence.query<{ slot: number; value: number }>(
    `SELECT intDiv(toUnixTimestamp(time) - {from:UInt32}, {step:UInt32}) AS slot, toFloat64(${value}) / {step:UInt32} AS value FROM ${tableFor(1000 * stepS)}
     WHERE gateway = {gateway:String} AND ${workloadId === undefined ? 'linkId = {of:String}' : 'workloadId = {of:UInt32}'}
       AND time >= toDateTime({from:UInt32}) AND time < toDateTime({until:UInt32}) GROUP BY slot ORDER BY slot`,
    { gateway, of: workloadId ?? of.slice('link:'.length), from: fromS, until: untilS, step: stepS },
  );
  const values = new Array<number>(steps).fill(0);
  for (const row of rows) values[row.slot] = row.value;
  return { startMs: fromS * 1000, stepMs: stepS * 1000, values };
}
