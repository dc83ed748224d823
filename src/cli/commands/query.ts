import type { Command } from 'commander';
import { type StoreAccess, StoreClient } from '../../store/index.js';
import type { CliContext } from '../context.js';
import { requireDaemon } from '../daemon.js';
import { outputOption } from '../options.js';

/** Runs work with a read-only client of the running gateway's ClickHouse. */
export async function withStore<T>(
  options: { gateway?: string | undefined },
  work: (client: StoreClient, gateway: string) => Promise<T>,
): Promise<T> {
  const daemon = await requireDaemon(options);
  const access: StoreAccess = daemon.store;
  const client = new StoreClient(access);
  try {
    return await work(client, daemon.gateway);
  } finally {
    await client.close();
  }
}

const FORMATS = { table: 'PrettyCompactMonoBlock', json: 'JSON', csv: 'CSVWithNames' } as const;

/** `tidegate query 'SQL'`: SQL on the running gateway's history, read-only. */
export function register(program: Command, context: CliContext): void {
  program
    .command('query')
    .description("run SQL on the gateway's history (ClickHouse dialect, read-only)")
    .argument('<sql>', 'a statement without FORMAT')
    .option('--gateway <name>', 'which gateway, when several run here')
    .option('--timeout <seconds>', 'give up after so long', '60')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(
      async (sql: string, options: { gateway?: string; timeout: string; output: keyof typeof FORMATS }) => {
        const text = await withStore(options, (client) =>
          client.text(sql, FORMATS[options.output], {
            signal: context.signal,
            timeoutMs: Number(options.timeout) * 1000,
          }),
        );
        if (options.output !== 'json') {
          context.stdout.write(text);
          return;
        }
        // Rows only, one array: what scripts want. 64-bit integers stay exact because they are quoted.
        const { data } = JSON.parse(text) as { data: unknown[] };
        context.stdout.write(`${JSON.stringify(data)}\n`);
      },
    );
}
