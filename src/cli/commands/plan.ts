import type { Command } from 'commander';
import { defineErrors } from '../../base/errors.js';
import { formatRate } from '../../base/units.js';
import type { Plan } from '../../plan/index.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { printRows, renderTable } from '../output.js';
import { registerActions } from './plan-act.js';
import { printAllocations, registerMore } from './plan-more.js';
import { registerSimulate } from './plan-simulate.js';
import { withStore } from './query.js';

const fail = defineErrors({
  TG_CLI_NO_PLAN: {
    message: 'there is no plan{which}',
    hint: 'see `tidegate plan history`, or wait for the next cycle',
  },
});

interface StoredPlan {
  readonly planId: string;
  readonly created: string;
  readonly costUsd: number;
  readonly doNothingUsd: number;
  readonly expectedViolationMinutes: number;
  readonly plan: string;
}

const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 19);
const usd = (amount: number): string => `$${amount.toFixed(4)}`;

/** A plan for people: what it costs, what doing nothing would, what goes where when, what binds, and why. */
export function renderPlan(plan: Plan): string {
  const names = new Map(plan.reasons.map((reason) => [reason.workloadId, reason.words.split(':')[0] ?? '']));
  const links = [...new Set(plan.allocations.filter((a) => a.resource === 'bandwidth').map((a) => a.target))];
  const rows = plan.periods.map((period, i) => {
    const rate = (target: string): number =>
      plan.allocations
        .filter((a) => a.resource === 'bandwidth' && a.target === target && a.fromMs === period.startMs)
        .reduce((sum, a) => sum + a.amount, 0);
    return { period, rates: links.map(rate), instances: plan.instances[i]?.count ?? 0 };
  });
  return [
    `plan ${plan.id.slice(0, 12)}, made ${clock(plan.createdMs)}, valid until ${clock(plan.expiresMs)} (UTC)`,
    `costs ${usd(plan.costUsd)} (${plan.expectedViolationMinutes.toFixed(1)} violation minutes); doing nothing ${usd(plan.doNothingUsd)} (${plan.doNothingViolationMinutes.toFixed(1)})`,
    ...(plan.costInterval === undefined
      ? []
      : [
          `cost interval ${usd(plan.costInterval.lowUsd)} to ${usd(plan.costInterval.highUsd)}: demand at its median, and at its sized quantile throughout`,
        ]),
    ...(plan.inputs === undefined
      ? []
      : [
          `inputs ${plan.inputs.sha256.slice(0, 12)}: ${plan.inputs.workloads} workloads, ${plan.inputs.links.length} links, forecasts ${plan.inputs.forecastMs === null ? 'of the input' : `of ${clock(plan.inputs.forecastMs)}`}`,
        ]),
    '',
    renderTable(rows, [
      { title: 'from', value: (row) => clock(row.period.startMs) },
      ...links.map((link, i) => ({
        title: link,
        value: (row: (typeof rows)[number]) => row.rates[i],
        show: (row: (typeof rows)[number]) => formatRate(row.rates[i] ?? 0),
        align: 'right' as const,
      })),
      { title: 'instances', value: (row) => row.instances, align: 'right' },
    ]),
    ...plan.binding.map((constraint) => `binds: ${constraint.words}`),
    ...(plan.purchase === undefined ? [] : [`instances: ${plan.purchase.words}`]),
    ...(plan.purchase?.rule === undefined ? [] : [`instances: ${plan.purchase.rule}`]),
    ...(plan.purchase?.reserve === undefined ? [] : [`instances: ${plan.purchase.reserve}`]),
    ...(plan.circuits ?? []).map((circuit) => `circuit ${circuit.linkId}: ${circuit.words}`),
    ...(plan.conflicts ?? []).map((conflict) => `goals conflict: ${conflict}`),
    ...plan.reasons.map((reason) => `${String(reason.workloadId).padStart(4)}  ${reason.words}`),
    `solver ${plan.solver.status}, ${plan.solver.classes} classes, ${names.size} workloads`,
    '',
  ].join('\n');
}

/** `tidegate plan show|history`: what the gateway would do, and why. Nothing is applied by looking. */
export function register(program: Command, context: CliContext): void {
  const plan = program.command('plan').description('what the gateway would move, when, and what it saves');
  registerSimulate(plan, context);
  registerMore(plan, context, renderPlan);
  registerActions(plan, context);
  plan
    .command('show')
    .description('a plan in words and numbers')
    .argument('[id]', 'beginning of a plan id; the newest when absent')
    .option('--gateway <name>', 'which gateway, when several run here')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(async (id: string | undefined, options: { gateway?: string; output: OutputFormat }) => {
      const [found] = await withStore(options, (client, gateway) =>
        client.query<StoredPlan>(
          `SELECT planId, plan FROM plans WHERE gateway = {gateway:String} AND startsWith(planId, {id:String}) ORDER BY created DESC LIMIT 1`,
          { params: { gateway, id: id ?? '' } },
        ),
      );
      if (found === undefined) throw fail('TG_CLI_NO_PLAN', { which: id === undefined ? ' yet' : ` ${id}` });
      if (options.output === 'csv') {
        printAllocations(context, JSON.parse(found.plan) as Plan);
        return;
      }
      context.stdout.write(
        options.output === 'json' ? `${found.plan}\n` : renderPlan(JSON.parse(found.plan) as Plan),
      );
    });
  plan
    .command('history')
    .description('earlier plans, newest first')
    .option('--limit <n>', 'how many', '20')
    .option('--gateway <name>', 'which gateway, when several run here')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(async (options: { limit: string; gateway?: string; output: OutputFormat }) => {
      const rows = await withStore(options, (client, gateway) =>
        client.query<StoredPlan>(
          `SELECT planId, toString(created) AS created, costUsd, doNothingUsd, expectedViolationMinutes FROM plans
           WHERE gateway = {gateway:String} ORDER BY plans.created DESC LIMIT {limit:UInt32}`,
          { params: { gateway, limit: Number(options.limit) } },
        ),
      );
      printRows(context, options.output, rows, [
        { title: 'planId', value: (r) => r.planId, show: (r) => r.planId.slice(0, 12) },
        { title: 'created', value: (r) => r.created },
        { title: 'costUsd', value: (r) => r.costUsd, show: (r) => usd(r.costUsd), align: 'right' },
        {
          title: 'doNothingUsd',
          value: (r) => r.doNothingUsd,
          show: (r) => usd(r.doNothingUsd),
          align: 'right',
        },
        { title: 'violationMinutes', value: (r) => r.expectedViolationMinutes, align: 'right' },
      ]);
    });
}
