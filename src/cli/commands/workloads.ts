import type { Command } from 'commander';
import { formatCount, formatRate } from '../../base/units.js';
import type { GatewayStatus, WorkloadStatus } from '../../pipeline/status.js';
import type { CliContext, OutputFormat } from '../context.js';
import { askDaemon, requireDaemon } from '../daemon.js';
import { outputOption } from '../options.js';
import { printRows } from '../output.js';

/** `tidegate workloads list`: what the gateway has recognised, busiest first. */
export function register(program: Command, context: CliContext): void {
  const workloads = program
    .command('workloads')
    .description('services that the gateway recognised by their traffic');
  workloads
    .command('list')
    .description('every known workload with its current rate, busiest first')
    .option('--gateway <name>', 'which gateway, when several run here')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(async (options: { gateway?: string; output: OutputFormat }) => {
      const status = await askDaemon<GatewayStatus>(await requireDaemon(options), '/status');
      printRows<WorkloadStatus>(context, options.output, status.workloads, [
        { title: 'workloadId', value: (w) => w.workloadId },
        { title: 'name', value: (w) => w.name },
        { title: 'rateBps', value: (w) => w.rateBps, show: (w) => formatRate(w.rateBps), align: 'right' },
        { title: 'flows', value: (w) => w.flows, show: (w) => formatCount(w.flows), align: 'right' },
      ]);
    });
}
