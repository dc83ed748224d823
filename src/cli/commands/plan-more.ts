import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { pino } from 'pino';
import { defineErrors, messageOf } from '../../base/errors.js';
import { formatRate } from '../../base/units.js';
import { diffPlans, type Plan, Planner, parsePlanInput } from '../../plan/index.js';
import type { CliContext, OutputFormat } from '../context.js';
import { askDaemon, requireDaemon } from '../daemon.js';
import { outputOption } from '../options.js';
import { printRows, toJson } from '../output.js';
import { withStore } from './query.js';

const fail = defineErrors({
  TG_CLI_PLAN_INPUT: {
    message: 'cannot read the plan input {file}: {reason}',
    hint: 'see docs/planning.md',
    exitCode: 2,
  },
  TG_CLI_PLAN_PAIR: {
    message: 'there are no two plans to compare{which}',
    hint: 'see `tidegate plan history`',
  },
});

const signed = (value: number, digits: number, before = ''): string =>
  `${value < 0 ? '-' : '+'}${before}${Math.abs(value).toFixed(digits)}`;

/** A plan of the running gateway, made now, whatever the clock says. @throws TG_API_PLAN_NOT_MADE with why */
async function createNow(options: { gateway?: string }): Promise<Plan> {
  const daemon = await requireDaemon(options);
  return (await askDaemon<{ plan: Plan }>(daemon, '/api/plans', {})).plan;
}

/** A plan from inputs in a file; no gateway is needed. @throws TG_CLI_PLAN_INPUT, and what the planner says */
async function createFrom(file: string): Promise<Plan> {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw fail('TG_CLI_PLAN_INPUT', { file, reason: messageOf(error) }, error);
  }
  const parsed = parsePlanInput(json);
  if ('problem' in parsed) throw fail('TG_CLI_PLAN_INPUT', { file, reason: parsed.problem });
  const planner = new Planner({ logger: pino({ level: 'silent' }) });
  await planner.start();
  try {
    return await planner.plan(parsed.input);
  } finally {
    await planner.stop();
  }
}

async function diff(
  context: CliContext,
  ids: readonly [string | undefined, string | undefined],
  options: { gateway?: string; output: OutputFormat },
): Promise<void> {
  const [before, after] = await withStore(options, async (client, gateway) => {
    const rows = await client.query<{ plan: string }>(
      ids[0] === undefined
        ? 'SELECT plan FROM plans WHERE gateway = {gateway:String} ORDER BY created DESC LIMIT 2'
        : `SELECT plan FROM plans WHERE gateway = {gateway:String} AND (startsWith(planId, {a:String}) OR startsWith(planId, {b:String}))
           ORDER BY startsWith(planId, {a:String}), created DESC LIMIT 2`,
      { params: { gateway, a: ids[0] ?? '', b: ids[1] ?? '' } },
    );
    return rows.map((row) => JSON.parse(row.plan) as Plan).reverse();
  });
  if (before === undefined || after === undefined) {
    throw fail('TG_CLI_PLAN_PAIR', {
      which: ids[0] === undefined ? ' yet' : ` named ${ids[0]} and ${ids[1]}`,
    });
  }
  const difference = diffPlans(before, after);
  if (options.output === 'json') {
    context.stdout.write(`${toJson({ before: before.id, after: after.id, ...difference })}\n`);
    return;
  }
  const rate = (bps: number): string => (bps === 0 ? '' : formatRate(bps));
  if (options.output === 'table')
    context.stdout.write(
      `from plan ${before.id.slice(0, 12)} to ${after.id.slice(0, 12)}: cost ${signed(difference.costUsd, 4, '$')}, violation minutes ${signed(difference.violationMinutes, 1)}, instance-hours ${signed(difference.instanceHours, 1)}\n\n`,
    );
  printRows(context, options.output, difference.changes, [
    { title: 'workload', value: (c) => c.name },
    { title: 'link', value: (c) => c.linkId },
    { title: 'before', value: (c) => c.beforeBps, show: (c) => rate(c.beforeBps), align: 'right' },
    { title: 'after', value: (c) => c.afterBps, show: (c) => rate(c.afterBps), align: 'right' },
  ]);
}

/** What a plan gives to whom, when: one allocation a row. */
export function printAllocations(context: CliContext, plan: Plan): void {
  printRows(context, 'csv', plan.allocations, [
    { title: 'workloadId', value: (a) => a.workloadId },
    { title: 'resource', value: (a) => a.resource },
    { title: 'target', value: (a) => a.target },
    { title: 'from', value: (a) => new Date(a.fromMs).toISOString() },
    { title: 'until', value: (a) => new Date(a.untilMs).toISOString() },
    { title: 'amount', value: (a) => a.amount },
  ]);
}

/** `tidegate plan create [--input FILE]` and `tidegate plan diff [BEFORE AFTER]`. */
export function registerMore(plan: Command, context: CliContext, render: (plan: Plan) => string): void {
  plan
    .command('create')
    .description(
      'make a plan now: the running gateway from its forecasts, or from inputs in a file without one',
    )
    .option('--input <file>', 'demand, links, hosts and goals as JSON instead of a running gateway')
    .option('--gateway <name>', 'which gateway, when several run here')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(async (options: { input?: string; gateway?: string; output: OutputFormat }) => {
      const made = options.input === undefined ? await createNow(options) : await createFrom(options.input);
      if (options.output === 'csv') printAllocations(context, made);
      else context.stdout.write(options.output === 'json' ? `${toJson(made)}\n` : render(made));
    });
  plan
    .command('diff')
    .description('what a plan does otherwise than another; the newest two when none is named')
    .argument('[before]', 'beginning of a plan id')
    .argument('[after]', 'beginning of a plan id')
    .option('--gateway <name>', 'which gateway, when several run here')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(
      (
        before: string | undefined,
        after: string | undefined,
        options: { gateway?: string; output: OutputFormat },
      ) => diff(context, [before, after], options),
    );
}
