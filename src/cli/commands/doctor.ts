import type { Command } from 'commander';
import { loadConfig } from '../../config/load.js';
import { gatewayConfig } from '../../config/schema.js';
import { type DoctorFinding, examine } from '../../doctor/index.js';
import { createLogger } from '../../telemetry/log.js';
import { type CliContext, inColour, type OutputFormat } from '../context.js';
import { outputOption } from '../options.js';
import { printRows } from '../output.js';

const BLOCKED = 3;
const COLOURS: Readonly<Record<DoctorFinding['result'], number>> = {
  ok: 32,
  info: 36,
  warning: 33,
  blocker: 31,
  unknown: 35,
};

interface DoctorFlags {
  readonly config?: string;
  readonly interface?: string;
  readonly dataDirectory?: string;
  readonly quiet?: boolean;
  readonly output: OutputFormat;
}

/** `tidegate doctor`: whether a gateway can run here, found out by trying; exit code 3 when something is in the way. */
export function register(program: Command, context: CliContext): void {
  program
    .command('doctor')
    .description('find out by trying whether a gateway can run on this host, and what to do where it cannot')
    .option('-c, --config <file>', 'YAML configuration')
    .option('-i, --interface <names>', 'comma-separated interfaces to look at')
    .option('--data-directory <directory>', 'where history would be kept')
    .option('-q, --quiet', 'only what needs attention')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(async (flags: DoctorFlags) => {
      const { config } = loadConfig(gatewayConfig, {
        file: flags.config,
        environment: process.env,
        flags: {
          dataDirectory: flags.dataDirectory,
          'capture.interfaces': flags.interface?.split(',').map((name) => ({ name: name.trim() })),
        },
      });
      const findings = await examine(config, createLogger({ level: 'silent', pretty: false }));
      const colour = inColour(context);
      const shown = flags.quiet
        ? findings.filter((f) => f.result === 'warning' || f.result === 'blocker')
        : findings;
      if (shown.length > 0 || flags.output !== 'table') {
        printRows<DoctorFinding>(context, flags.output, shown, [
          { title: 'id', value: (f) => f.id },
          {
            title: 'result',
            value: (f) => f.result,
            show: (f) => (colour ? `\u001b[${COLOURS[f.result]}m${f.result}\u001b[0m` : f.result),
          },
          { title: 'words', value: (f) => f.words },
          { title: 'remedy', value: (f) => f.remedy },
        ]);
      }
      if (findings.some((f) => f.result === 'blocker')) process.exitCode = BLOCKED;
    });
}
