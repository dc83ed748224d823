import type { Command } from 'commander';
import { stringify } from 'yaml';
import { loadConfig } from '../../config/load.js';
import { gatewayConfig } from '../../config/schema.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { toJson } from '../output.js';

/** `tidegate config check|show`: what a configuration means before it is used. */
export function register(program: Command, context: CliContext): void {
  const config = program.command('config').description('check and show configurations');
  config
    .command('check')
    .description('report every problem of a configuration with its position')
    .argument('<file>', 'YAML configuration')
    .action((file: string) => {
      loadConfig(gatewayConfig, { file, environment: process.env });
      context.stderr.write(`${file}: ok\n`);
    });
  config
    .command('show')
    .description('the effective configuration; durations in ms, rates in bit/s, sizes in bytes')
    .argument('[file]', 'YAML configuration')
    .option('--origin', 'where each value that is not a default was set')
    .addOption(outputOption(['table', 'json']))
    .action((file: string | undefined, options: { origin?: boolean; output: OutputFormat }) => {
      const loaded = loadConfig(gatewayConfig, { file, environment: process.env });
      const shown = options.origin ? Object.fromEntries(loaded.origins) : loaded.config;
      context.stdout.write(options.output === 'json' ? `${toJson(shown)}\n` : stringify(shown));
    });
}
