import type { Command } from 'commander';
import type { GatewayStatus } from '../../pipeline/status.js';
import { type CliContext, inColour, type OutputFormat } from '../context.js';
import { askDaemon, requireDaemon } from '../daemon.js';
import { outputOption } from '../options.js';
import { toJson } from '../output.js';
import { renderStatus } from '../status-screen.js';

/** `tidegate status`: one screen of the running gateway, packet conservation first. */
export function register(program: Command, context: CliContext): void {
  program
    .command('status')
    .description('what the running gateway sees, stores and has lost, and what it plans next')
    .option('--gateway <name>', 'which gateway, when several run here')
    .addOption(outputOption(['table', 'json']))
    .action(async (options: { gateway?: string; output: OutputFormat }) => {
      const status = await askDaemon<GatewayStatus>(await requireDaemon(options), '/status');
      context.stdout.write(
        options.output === 'json' ? `${toJson(status)}\n` : renderStatus(status, [], inColour(context)),
      );
    });
}
