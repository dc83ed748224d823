import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { Argument, type Command, Option } from 'commander';
import { parse } from 'yaml';
import { defineErrors, messageOf } from '../../base/errors.js';
import { parseDurationMs } from '../../base/units.js';
import {
  type AssumptionSettings,
  type Assumptions,
  assumptionsSchema,
  type PolicyResult,
  readSeries,
  type Series,
  type Simulation,
  simulate,
} from '../../plan/index.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { printRows, renderTable, type TableColumn, toJson } from '../output.js';
import { progressOn } from '../progress.js';
import { withStore } from './query.js';

const fail = defineErrors({
  TG_CLI_SIMULATE_SOURCE: {
    message: 'simulate needs a demand: {problem}',
    hint: 'name a CSV file, or use --from-store with a running gateway',
    exitCode: 2,
  },
  TG_CLI_SIMULATE_CONFIG: {
    message: '{file}: {problem}',
    hint: 'see docs/planning.md for the settings',
    exitCode: 2,
  },
});

const STEP_MS = 300_000;

interface SimulateOptions {
  readonly fromStore?: boolean;
  readonly since: string;
  readonly config?: string;
  readonly timestampColumn?: string;
  readonly valueColumn?: string;
  readonly gateway?: string;
  readonly output: OutputFormat;
}

/** @throws TG_CLI_SIMULATE_CONFIG */
function readAssumptions(file: string | undefined, fallback: AssumptionSettings): Assumptions {
  if (file === undefined) return assumptionsSchema.parse(fallback);
  let settings: unknown;
  try {
    settings = parse(readFileSync(file, 'utf8')) ?? {};
  } catch (error) {
    throw fail('TG_CLI_SIMULATE_CONFIG', { file, problem: messageOf(error) }, error);
  }
  const result = assumptionsSchema.safeParse(settings);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw fail('TG_CLI_SIMULATE_CONFIG', { file, problem: `${issue.path.join('.')}: ${issue.message}` });
}

/** What the gateway really carried outwards, five minutes a step. */
async function storedSeries(options: SimulateOptions): Promise<Series> {
  const seconds = Math.ceil(parseDurationMs(options.since) / 1000);
  const rows = await withStore(options, (client, gateway) =>
    client.query<{ slot: number; bps: number }>(
      `SELECT toUInt32(toUnixTimestamp(time)) AS slot, toFloat64(sum(octetsOut)) * 8 / 300 AS bps FROM usage_5m
       WHERE gateway = {gateway:String} AND time >= now() - INTERVAL {seconds:UInt32} SECOND AND time < toStartOfFiveMinutes(now())
       GROUP BY slot ORDER BY slot`,
      { params: { gateway, seconds } },
    ),
  );
  const first = rows[0]?.slot;
  const last = rows.at(-1)?.slot;
  if (first === undefined || last === undefined || first === last) {
    throw fail('TG_CLI_SIMULATE_SOURCE', { problem: 'the store has no usage of that time' });
  }
  // No row is no traffic: the gateway counted nothing, which is not a gap.
  const values = new Float64Array((last - first) / 300 + 1);
  for (const row of rows) values[(row.slot - first) / 300] = row.bps;
  return {
    startMs: first * 1000,
    stepMs: STEP_MS,
    values,
    filledSteps: 0,
    timestampColumn: 'time',
    valueColumn: 'octetsOut',
  };
}

const usd = (amount: number): string => `$${amount.toFixed(2)}`;

const number = (title: string, pick: (row: PolicyResult) => number, show: (value: number) => string) => ({
  title,
  value: pick,
  show: (row: PolicyResult) => show(pick(row)),
  align: 'right' as const,
});

const POLICY_COLUMNS: readonly TableColumn<PolicyResult>[] = [
  { title: 'policy', value: (row) => row.policy },
  number('total', (row) => row.totalCostUsd, usd),
  number('compute', (row) => row.computeCostUsd, usd),
  number('egress', (row) => row.egressCostUsd, usd),
  number(
    'of oracle',
    (row) => row.ratioToOracle,
    (v) => v.toFixed(4),
  ),
  number(
    'compute of oracle',
    (row) => row.computeRatioToOracle,
    (v) => v.toFixed(3),
  ),
  number(
    'violation min',
    (row) => row.violationMinutes,
    (v) => v.toFixed(0),
  ),
  number(
    'violation %',
    (row) => row.violationPercent,
    (v) => v.toFixed(3),
  ),
  number(
    'starts',
    (row) => row.starts,
    (v) => String(v),
  ),
];

function renderSimulation(simulation: Simulation): string {
  const table = renderTable(simulation.policies, POLICY_COLUMNS);
  const alternatives = simulation.alternatives.map((a) =>
    `${a.name}: ${usd(a.totalCostUsd)}, compute ${a.computeRatioToOracle.toFixed(3)} of the oracle, at ${a.violationPercent.toFixed(3)} % violations, ${
      a.savingUsd >= 0 ? 'saves' : 'costs'
    } ${usd(Math.abs(a.savingUsd))} ${a.savingUsd >= 0 ? '' : 'more'}`.trimEnd(),
  );
  const { burstable } = simulation;
  if (burstable !== null) {
    alternatives.push(
      `two burstable links, last ${burstable.days} days: p95 bill ${burstable.ratioToOracle.toFixed(3)} of the oracle, even split ${burstable.evenSplitRatioToOracle.toFixed(3)}`,
    );
  }
  const assumptions = Object.entries(simulation.assumptions).map(([name, value]) => `${name} ${value}`);
  return `${[table, ...alternatives, ...simulation.notes.map((note) => `note: ${note}`), `assumptions: ${assumptions.join(', ')}`].join('\n')}\n`;
}

interface TraceResult {
  readonly file: string;
  readonly simulation: Simulation;
}

const policyOf = (row: TraceResult, policy: string): PolicyResult =>
  row.simulation.policies.find((result) => result.policy === policy)!;
const isCheaper = (row: TraceResult): boolean =>
  policyOf(row, 'tidegate').totalCostUsd < policyOf(row, 'reactive-50/35').totalCostUsd;
const isSafer = (row: TraceResult): boolean =>
  policyOf(row, 'tidegate').violationMinutes < policyOf(row, 'reactive-50/35').violationMinutes;
const isUnviolated = (row: TraceResult): boolean =>
  policyOf(row, 'tidegate').violationMinutes === 0 && policyOf(row, 'reactive-50/35').violationMinutes === 0;

const traceColumn = (
  title: string,
  policy: string,
  pick: (result: PolicyResult) => number,
  digits: number,
) => ({
  title,
  value: (row: TraceResult) => pick(policyOf(row, policy)),
  show: (row: TraceResult) => pick(policyOf(row, policy)).toFixed(digits),
  align: 'right' as const,
});

/** One line a trace: Tidegate beside the reactive rule, of the oracle. */
const TRACE_COLUMNS: readonly TableColumn<TraceResult>[] = [
  { title: 'trace', value: (row) => basename(row.file).replace(/\.csv$/, '') },
  traceColumn('mean need', 'oracle', (p) => p.meanMachines, 2),
  traceColumn('total', 'tidegate', (p) => p.ratioToOracle, 4),
  traceColumn('compute', 'tidegate', (p) => p.computeRatioToOracle, 3),
  traceColumn('violation %', 'tidegate', (p) => p.violationPercent, 3),
  traceColumn('reactive total', 'reactive-50/35', (p) => p.ratioToOracle, 4),
  traceColumn('reactive violation %', 'reactive-50/35', (p) => p.violationPercent, 3),
  { title: 'cheaper', value: (row) => (isCheaper(row) ? 'yes' : 'no') },
  { title: 'fewer violations', value: (row) => (isSafer(row) ? 'yes' : 'no') },
  {
    title: 'p95 bill',
    value: (row) => row.simulation.burstable?.ratioToOracle,
    show: (row) => row.simulation.burstable?.ratioToOracle.toFixed(3) ?? '',
    align: 'right',
  },
];

/** What all traces together say. */
function summaryOf(rows: readonly TraceResult[]): string {
  const both = rows.filter((row) => isCheaper(row) && isSafer(row)).length;
  const unviolated = rows.filter((row) => isCheaper(row) && isUnviolated(row)).length;
  const bills = rows.flatMap((row) => row.simulation.burstable?.ratioToOracle ?? []);
  const mean = bills.reduce((sum, ratio) => sum + ratio, 0) / Math.max(1, bills.length);
  return [
    `cheaper than reactive-50/35 with fewer violation minutes: ${both} of ${rows.length} traces; cheaper where neither has any: ${unviolated}\n`,
    bills.length === 0
      ? ''
      : `p95 bill of two burstable links, mean of ${bills.length}: ${mean.toFixed(3)} of the oracle\n`,
  ].join('');
}

function printTraces(context: CliContext, rows: readonly TraceResult[], output: OutputFormat): void {
  if (output === 'json') {
    context.stdout.write(`${toJson(rows.map(({ file, simulation }) => ({ file, ...simulation })))}\n`);
    return;
  }
  printRows(context, output, rows, TRACE_COLUMNS);
  if (output === 'table') context.stdout.write(summaryOf(rows));
}

function printOne(context: CliContext, simulation: Simulation, output: OutputFormat): void {
  if (output === 'csv') printRows(context, 'csv', simulation.policies, POLICY_COLUMNS);
  else context.stdout.write(output === 'json' ? `${toJson(simulation)}\n` : renderSimulation(simulation));
}

/** `tidegate plan simulate FILE.csv…`: what each policy would have cost on real demands. */
export function registerSimulate(plan: Command, context: CliContext): void {
  plan
    .command('simulate')
    .description('replay a real demand through every policy and an oracle with perfect foresight')
    .addArgument(new Argument('[files...]', 'CSV with a header line; several give a line each'))
    .option('--from-store', "replay the running gateway's own history")
    .option('--since <duration>', 'how much of the history', '30d')
    .option('--config <file>', 'assumptions in YAML; absent = the published comparison')
    .option('--timestamp-column <name>', 'column of the time; absent = the first')
    .option('--value-column <name>', 'column of the demand; absent = the first number')
    .addOption(new Option('--gateway <name>', 'which gateway, when several run here'))
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(async (files: readonly string[], options: SimulateOptions) => {
      const isStored = options.fromStore === true;
      if ((files.length === 0) !== isStored) {
        throw fail('TG_CLI_SIMULATE_SOURCE', {
          problem: isStored ? 'both a file and --from-store were named' : 'none was named',
        });
      }
      // A file's unit is unknown and scaled to the comparison's; the store's rates are real.
      const fallback: AssumptionSettings = isStored ? { scaleP99Bps: 0 } : {};
      const assumptions = readAssumptions(options.config, fallback);
      const { timestampColumn, valueColumn } = options;
      const demands = isStored
        ? [{ file: '', series: await storedSeries(options) }]
        : files.map((file) => ({ file, series: readSeries(file, { timestampColumn, valueColumn }) }));
      const progress = progressOn(context);
      const rows: TraceResult[] = [];
      try {
        for (const { file, series } of demands) {
          const name = demands.length > 1 ? `${basename(file)}, ` : '';
          const simulation = await simulate(series, assumptions, (stage, done, of) =>
            progress.show(`replaying, ${name}${stage}`, done, of),
          );
          rows.push({ file, simulation });
        }
      } finally {
        progress.end();
      }
      if (rows.length === 1) printOne(context, rows[0]!.simulation, options.output);
      else printTraces(context, rows, options.output);
    });
}
