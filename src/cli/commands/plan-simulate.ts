import { readFileSync } from 'node:fs';
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
    `${a.name}: ${usd(a.totalCostUsd)} at ${a.violationPercent.toFixed(3)} % violations, ${
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

/** `tidegate plan simulate FILE.csv`: what each policy would have cost on a real demand. */
export function registerSimulate(plan: Command, context: CliContext): void {
  plan
    .command('simulate')
    .description('replay a real demand through every policy and an oracle with perfect foresight')
    .addArgument(new Argument('[file]', 'CSV with a header line'))
    .option('--from-store', "replay the running gateway's own history")
    .option('--since <duration>', 'how much of the history', '30d')
    .option('--config <file>', 'assumptions in YAML; absent = the published comparison')
    .option('--timestamp-column <name>', 'column of the time; absent = the first')
    .option('--value-column <name>', 'column of the demand; absent = the first number')
    .addOption(new Option('--gateway <name>', 'which gateway, when several run here'))
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(async (file: string | undefined, options: SimulateOptions) => {
      if ((file === undefined) === (options.fromStore !== true)) {
        throw fail('TG_CLI_SIMULATE_SOURCE', {
          problem: file === undefined ? 'none was named' : 'both a file and --from-store were named',
        });
      }
      const series =
        file === undefined
          ? await storedSeries(options)
          : readSeries(file, {
              timestampColumn: options.timestampColumn,
              valueColumn: options.valueColumn,
            });
      // A file's unit is unknown and scaled to the comparison's; the store's rates are real.
      const fallback: AssumptionSettings = file === undefined ? { scaleP99Bps: 0 } : {};
      const assumptions = readAssumptions(options.config, fallback);
      const progress = progressOn(context);
      const simulation = await simulate(series, assumptions, (stage, done, of) =>
        progress.show(`replaying, ${stage}`, done, of),
      ).finally(() => progress.end());
      if (options.output === 'csv') {
        printRows(context, 'csv', simulation.policies, POLICY_COLUMNS);
        return;
      }
      context.stdout.write(
        options.output === 'json' ? `${toJson(simulation)}\n` : renderSimulation(simulation),
      );
    });
}
