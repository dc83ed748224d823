import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { childLogger } from '../../base/logger.js';
import { loadConfig } from '../../config/load.js';
import { type GatewayConfig, gatewayConfig } from '../../config/schema.js';
import { Gateway } from '../../gateway.js';
import {
  LabTopology,
  LabTraffic,
  runScenario,
  SCENARIO_NAMES,
  STEERING_NAMES,
  type SteeringName,
} from '../../lab/index.js';
import { createLogger } from '../../telemetry/log.js';
import type { CliContext, OutputFormat } from '../context.js';
import { outputOption, positiveSeconds } from '../options.js';
import { toJson } from '../output.js';
import { printFinal, watch } from '../run-gateway.js';

interface LabFlags {
  readonly config?: string;
  readonly seconds?: number;
  readonly season?: number;
  readonly name: string;
  readonly dataDirectory?: string;
  readonly keepData?: boolean;
  readonly scenario?: string;
  readonly actuator: SteeringName;
  readonly output: OutputFormat;
}

/** A lab's day is short, so everything that waits for a day's parts is short too. */
function labSettings(topology: LabTopology, flags: LabFlags): Record<string, unknown> {
  const season = flags.season ?? 60;
  return {
    gateway: flags.name,
    dataDirectory: flags.dataDirectory ?? `/var/lib/tidegate/${flags.name}`,
    // A lab ends with its process: nothing of it is to outlive it.
    'capture.pin': false,
    'capture.idleTimeout': '2s',
    'capture.activeTimeout': '1s',
    'capture.batchAge': '1s',
    'cycle.every': '5s',
    'cycle.step': '1s',
    'cycle.seasons': [season],
    // A plan is valid to the end of its horizon at most, and a person needs time to read it.
    'cycle.horizon': Math.max(10, Math.min(120, 2 * season)),
    'cycle.history': 5 * season,
    // Two ways out, so that prices matter: a circuit with little room and cheap octets, and one with much of both.
    links: topology.interfaces.map((i) => ({
      linkId: i.linkId,
      interface: i.name,
      netns: topology.gatewayNetns,
      network: i.network,
      wayOut: i.network === 'public',
      capacity: i.linkId === 'public-a' ? '15Mbit' : '1Gbit',
      tariff:
        i.linkId === 'public-a' ? 'aws-direct-connect-us' : i.linkId === 'public-b' ? 'gcp-premium' : 'free',
      nextHopIPv4: i.peerIPv4,
      nextHopIPv6: i.peerIPv6,
    })),
    // Coefficients and hosts of a toy data centre, scaled to the lab's megabits.
    'cycle.cpuCoresPerGbps': 200,
    'cycle.memoryGiBPerGbps': 400,
    'plan.privateCpuCores': 2,
    'plan.privateMemory': '8GiB',
    // The lab's traffic is its own: a plan that is approved moves it for real.
    'actuate.mode': 'approve',
    'actuate.actuators': [flags.actuator],
    'lab.season': season,
    'lab.name': flags.name,
  };
}

/** `tidegate lab`: a gateway in network namespaces with real clients and servers; ends without a trace. */
export function register(program: Command, context: CliContext): void {
  program
    .command('lab')
    .description('run a gateway in its own network namespaces, with real traffic over a compressed day')
    .option('-c, --config <file>', 'YAML configuration')
    .addOption(new Option('-s, --seconds <seconds>', 'end by itself').argParser(positiveSeconds))
    .addOption(
      new Option('--season <seconds>', 'length of the compressed day (default 60)').argParser(
        positiveSeconds,
      ),
    )
    .option('--name <name>', 'names the gateway and its namespaces', 'tidegate')
    .option('--data-directory <directory>', 'where history is kept (default /var/lib/tidegate/<name>)')
    .option('--keep-data', 'continue with the history of the last lab instead of an empty one')
    .addOption(
      new Option(
        '--scenario <name>',
        'play one scenario on the actuators alone and report its figures',
      ).choices(SCENARIO_NAMES),
    )
    .addOption(
      new Option('--actuator <name>', 'what steers: the XDP program, or nf_tables and routing tables')
        .choices(STEERING_NAMES)
        .default('steer'),
    )
    .addOption(outputOption(['table', 'json']))
    .action((flags: LabFlags) =>
      flags.scenario === undefined ? lab(context, flags) : scenario(context, flags),
    );
}

async function lab(context: CliContext, flags: LabFlags): Promise<void> {
  const topology = new LabTopology({ name: flags.name });
  const { config } = loadConfig(gatewayConfig, {
    file: flags.config,
    environment: process.env,
    flags: labSettings(topology, flags),
  });
  const quiet = context.interactive && flags.output === 'table';
  const logger = createLogger({
    level: quiet ? 'error' : config.logLevel,
    pretty: process.stderr.isTTY === true,
  });
  if (!flags.keepData) forget(config);
  const gateway = new Gateway({ config, mode: 'lab', logger });
  const traffic = new LabTraffic({
    topology,
    seasonMs: config.lab.season,
    seed: config.lab.seed,
    scale: config.lab.scale,
    logger: childLogger(logger, 'lab'),
  });
  await topology.start();
  try {
    await gateway.start();
    await traffic.start();
    await watch(context, gateway, { seconds: flags.seconds, output: flags.output });
    await traffic.stop();
    await gateway.settle();
    await gateway.planNow();
    printFinal(context, gateway.status(), flags.output);
  } finally {
    await traffic.stop();
    await gateway.stop();
    await topology.stop();
  }
}

/** Plays one scenario; the report has what was measured and the journal of what was done. */
async function scenario(context: CliContext, flags: LabFlags): Promise<void> {
  const report = await runScenario(flags.scenario ?? '', { name: flags.name, actuator: flags.actuator });
  if (flags.output === 'json') {
    context.stdout.write(`${toJson(report)}\n`);
    return;
  }
  const { journal, ...figures } = report;
  for (const [name, value] of Object.entries(figures))
    context.stdout.write(`${name.padEnd(18)} ${typeof value === 'object' ? JSON.stringify(value) : value}\n`);
  context.stdout.write(`${'journal'.padEnd(18)} ${journal.length} entries\n`);
}

/** A lab starts empty: only what a lab itself left in its directory is removed. */
function forget(config: GatewayConfig): void {
  for (const name of ['clickhouse', 'spool', 'workloads.json', 'journal.jsonl', 'approvals.json']) {
    rmSync(join(config.dataDirectory, name), { recursive: true, force: true });
  }
}
