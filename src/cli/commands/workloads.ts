import { type Command, InvalidArgumentError } from 'commander';
import { formatBytes, formatCount, formatRate } from '../../base/units.js';
import type { GatewayStatus, WorkloadStatus } from '../../pipeline/status.js';
import type { CliContext, OutputFormat } from '../context.js';
import { askDaemon, requireDaemon } from '../daemon.js';
import { outputOption } from '../options.js';
import { printRows, type TableColumn } from '../output.js';

interface Flags {
  readonly gateway?: string;
  readonly output: OutputFormat;
}

interface Changed {
  readonly workloadId: number;
  readonly name: string;
}

interface Similar extends Changed {
  readonly gateway: string;
  readonly similarity: number;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  readonly flows: number;
  readonly historyHours: number;
  readonly historyOctets: number;
}

const workloadNumber = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('expected the number of a workload');
  return value;
};

const changed: readonly TableColumn<Changed>[] = [
  { title: 'workloadId', value: (w) => w.workloadId },
  { title: 'name', value: (w) => w.name },
];

/** `tidegate workloads …`: what the gateway has recognised, and what people call it. */
export function register(program: Command, context: CliContext): void {
  const workloads = program
    .command('workloads')
    .description('services that the gateway recognised by their traffic');
  const command = (usage: string, description: string): Command =>
    workloads
      .command(usage)
      .description(description)
      .option('--gateway <name>', 'which gateway, when several run here')
      .addOption(outputOption(['table', 'json', 'csv']));
  const change = async (flags: Flags, workloadId: number, what: string, body: unknown): Promise<void> => {
    const path = `/api/workloads/${workloadId}/${what}`;
    const { name, workloadId: id } = await askDaemon<Changed>(await requireDaemon(flags), path, body);
    printRows<Changed>(context, flags.output, [{ workloadId: id, name }], changed);
  };

  command('list', 'every known workload with its current rate, busiest first').action(
    async (flags: Flags) => {
      const status = await askDaemon<GatewayStatus>(await requireDaemon(flags), '/status');
      printRows<WorkloadStatus>(context, flags.output, status.workloads, [
        { title: 'workloadId', value: (w) => w.workloadId },
        { title: 'name', value: (w) => w.name },
        { title: 'rateBps', value: (w) => w.rateBps, show: (w) => formatRate(w.rateBps), align: 'right' },
        { title: 'flows', value: (w) => w.flows, show: (w) => formatCount(w.flows), align: 'right' },
      ]);
    },
  );
  command('label', 'give a workload a name; it keeps it, and the next training learns it')
    .argument('<workload>', 'its number', workloadNumber)
    .argument('<name>')
    .action((workload: number, name: string, flags: Flags) => change(flags, workload, 'label', { name }));
  command('merge', 'make another workload part of this one')
    .argument('<workload>', 'the one that stays', workloadNumber)
    .argument('<from>', 'the one that goes', workloadNumber)
    .action((workload: number, from: number, flags: Flags) => change(flags, workload, 'merge', { from }));
  command('split', 'move service endpoints of a workload to a new one')
    .argument('<workload>', 'its number', workloadNumber)
    .argument('<name>', 'of the new one')
    .argument('<endpoints...>', 'keys such as 6/443/192.0.2.1, as `workloads endpoints` lists them')
    .action((workload: number, name: string, endpoints: string[], flags: Flags) =>
      change(flags, workload, 'split', { name, endpoints }),
    );
  command('endpoints', 'the service endpoints of a workload')
    .argument('<workload>', 'its number', workloadNumber)
    .action(async (workload: number, flags: Flags) => {
      const { endpoints } = await askDaemon<{ endpoints: string[] }>(
        await requireDaemon(flags),
        `/api/workloads/${workload}`,
      );
      printRows<string>(context, flags.output, endpoints, [{ title: 'endpoint', value: (key) => key }]);
    });
  command(
    'similar',
    'have we seen this before: known workloads that resemble one, and the history behind them',
  )
    .argument('<workload>', 'its number', workloadNumber)
    .action(async (workload: number, flags: Flags) => {
      const { similar } = await askDaemon<{ similar: Similar[] }>(
        await requireDaemon(flags),
        `/api/workloads/${workload}/similar`,
      );
      printRows<Similar>(context, flags.output, similar, [
        { title: 'gateway', value: (w) => w.gateway },
        ...changed,
        { title: 'similarity', value: (w) => w.similarity, show: (w) => w.similarity.toFixed(3) },
        { title: 'firstSeen', value: (w) => new Date(w.firstSeenMs).toISOString() },
        { title: 'lastSeen', value: (w) => new Date(w.lastSeenMs).toISOString() },
        { title: 'flows', value: (w) => w.flows, show: (w) => formatCount(w.flows), align: 'right' },
        { title: 'historyHours', value: (w) => w.historyHours, align: 'right' },
        {
          title: 'historyOctets',
          value: (w) => w.historyOctets,
          show: (w) => formatBytes(w.historyOctets),
          align: 'right',
        },
      ]);
    });
}
