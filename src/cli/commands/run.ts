import { type Command, Option } from 'commander';
import { loadConfig } from '../../config/load.js';
import { type GatewayConfig, gatewayConfig } from '../../config/schema.js';
import { Gateway } from '../../gateway.js';
import { createLogger } from '../../telemetry/log.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption, positiveSeconds } from '../options.js';
import { reloadOnHangUp } from '../reload.js';
import { printFinal, watch } from '../run-gateway.js';
import { Supervisor } from '../supervisor.js';

interface RunFlags {
  readonly config?: string;
  readonly interface?: string;
  readonly seconds?: number;
  readonly dataDirectory?: string;
  readonly name?: string;
  readonly output: OutputFormat;
}

/** `tidegate run`: meters real NICs, observe-only. */
export function register(program: Command, context: CliContext): void {
  program
    .command('run')
    .description('run the gateway on real interfaces; observes, changes nothing')
    .option('-c, --config <file>', 'YAML configuration')
    .option('-i, --interface <names>', 'comma-separated interfaces to watch')
    .addOption(new Option('-s, --seconds <seconds>', 'end by itself').argParser(positiveSeconds))
    .option('--data-directory <directory>', 'where history is kept')
    .option('--name <gateway>', 'name of this gateway')
    .addOption(outputOption(['table', 'json']))
    .action(async (flags: RunFlags) => {
      const config = configOf(flags);
      const quiet = context.interactive && flags.output === 'table';
      const logger = createLogger({
        level: quiet ? 'error' : config.logLevel,
        pretty: process.stderr.isTTY === true,
      });
      const gateway = new Gateway({ config, mode: 'observe', logger });
      await gateway.start();
      const supervisor = new Supervisor(logger);
      supervisor.ready(`metering as ${config.gateway}`, () => gateway.status().startedMs > 0);
      const stopReloading = reloadOnHangUp(gateway, () => configOf(flags), logger);
      try {
        await watch(context, gateway, { seconds: flags.seconds, output: flags.output });
        await gateway.settle();
        printFinal(context, gateway.status(), flags.output);
      } finally {
        stopReloading();
        supervisor.stopping();
        await gateway.stop();
      }
    });
}

const configOf = (flags: RunFlags): GatewayConfig =>
  loadConfig(gatewayConfig, {
    file: flags.config,
    environment: process.env,
    flags: {
      gateway: flags.name,
      dataDirectory: flags.dataDirectory,
      'capture.interfaces': flags.interface?.split(',').map((name) => ({ name: name.trim() })),
    },
  }).config;
