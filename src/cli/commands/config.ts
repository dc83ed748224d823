import type { Command } from 'commander';
import { stringify } from 'yaml';
import {
  configJsonSchema,
  type SettingOrigin,
  settingOrigins,
  withoutSecrets,
} from '../../config/describe.js';
import { loadConfig } from '../../config/load.js';
import { gatewayConfig } from '../../config/schema.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { printRows, toJson } from '../output.js';

interface ShowFlags {
  readonly origin?: boolean;
  readonly effective?: boolean;
  readonly output: OutputFormat;
}

/** `tidegate config check|show|schema`: what a configuration means before it is used. */
export function register(program: Command, context: CliContext): void {
  const config = program.command('config').description('check, show and describe configurations');
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
    .description(
      'the configuration in force; durations in ms, rates in bit/s, sizes in bytes, secrets left out',
    )
    .argument('[file]', 'YAML configuration')
    .option('--effective', 'with defaults, environment and flags (always the case)')
    .option('--origin', 'one setting a line, with where its value was set')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action((file: string | undefined, flags: ShowFlags) => {
      const loaded = loadConfig(gatewayConfig, { file, environment: process.env });
      if (flags.origin === true || flags.output === 'csv') {
        const text = (value: unknown): string => (typeof value === 'string' ? value : toJson(value));
        printRows<SettingOrigin>(context, flags.output, settingOrigins(loaded), [
          { title: 'setting', value: (row) => row.setting },
          { title: 'value', value: (row) => text(row.value) },
          { title: 'origin', value: (row) => row.origin },
        ]);
        return;
      }
      const shown = withoutSecrets(loaded.config);
      context.stdout.write(flags.output === 'json' ? `${toJson(shown)}\n` : stringify(shown));
    });
  config
    .command('schema')
    .description('JSON Schema of the configuration, for completion and checks in editors')
    .action(() => void context.stdout.write(`${JSON.stringify(configJsonSchema(), undefined, 2)}\n`));
}
