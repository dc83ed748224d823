import type { Command } from 'commander';
import { defineErrors } from '../../base/errors.js';
import { formatBytes, formatCount, parseDurationMs } from '../../base/units.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { printRows, type TableColumn } from '../output.js';
import { withStore } from './query.js';

const fail = defineErrors({
  TG_CLI_DIMENSION: {
    message: '"{name}" is not a dimension of flows',
    hint: 'choose among {known}',
    exitCode: 2,
  },
});

/** Name on the command line → SQL over `flows`. */
const DIMENSIONS: Readonly<Record<string, string>> = {
  workload: 'workloadId',
  link: 'linkId',
  source: "replaceOne(toString(sourceIPv6Address), '::ffff:', '')",
  destination: "replaceOne(toString(destinationIPv6Address), '::ffff:', '')",
  port: 'destinationTransportPort',
  protocol: 'protocolIdentifier',
  vlan: 'dot1qVlanId',
  gateway: 'gateway',
  server: "if(tlsServerName != '', tlsServerName, httpRequestHost)",
  ja4: 'tlsJa4',
  alpn: 'tlsApplicationProtocols',
  dns: 'dnsQName',
  quic: 'quicVersion',
};

type FlowRow = Readonly<Record<string, string | number>>;

/** `tidegate flows top --by workload,link --since 1h`: the biggest groups of flows. */
export function register(program: Command, context: CliContext): void {
  const flows = program.command('flows').description('flow records in the store');
  flows
    .command('top')
    .description('the biggest groups of flows, by octets')
    .option('--by <dimensions>', `comma-separated: ${Object.keys(DIMENSIONS).join(', ')}`, 'workload,link')
    .option('--since <duration>', 'how far back', '1h')
    .option('--limit <n>', 'how many groups', '20')
    .option('--gateway <name>', 'which gateway, when several run here')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(
      async (options: {
        by: string;
        since: string;
        limit: string;
        gateway?: string;
        output: OutputFormat;
      }) => {
        const names = options.by.split(',').map((name) => name.trim());
        const expressions = names.map((name) => {
          const expression = DIMENSIONS[name];
          if (expression === undefined) {
            throw fail('TG_CLI_DIMENSION', { name, known: Object.keys(DIMENSIONS).join(', ') });
          }
          return `${expression} AS ${name}`;
        });
        const seconds = Math.ceil(parseDurationMs(options.since) / 1000);
        const rows = await withStore(options, (client) =>
          client.query<FlowRow>(
            `SELECT ${expressions.join(', ')}, toFloat64(sum(octetsOut)) AS octetsOut, toFloat64(sum(octetsIn)) AS octetsIn,
               toFloat64(sum(packetsOut + packetsIn)) AS packets, toFloat64(count()) AS records
             FROM flows WHERE flowEndNanoseconds >= now64(9) - INTERVAL {seconds:UInt32} SECOND
             GROUP BY ${names.join(', ')} ORDER BY octetsOut + octetsIn DESC LIMIT {limit:UInt32}`,
            { params: { seconds, limit: Number(options.limit) } },
          ),
        );
        const number = (title: string, format: (value: number) => string): TableColumn<FlowRow> => ({
          title,
          value: (row) => Number(row[title]),
          show: (row) => format(Number(row[title])),
          align: 'right',
        });
        printRows<FlowRow>(context, options.output, rows, [
          ...names.map((name) => ({ title: name, value: (row: FlowRow) => row[name] })),
          number('octetsOut', formatBytes),
          number('octetsIn', formatBytes),
          number('packets', formatCount),
          number('records', formatCount),
        ]);
      },
    );
}
