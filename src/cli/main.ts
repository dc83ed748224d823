#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { messageOf, TidegateError } from '../base/errors.js';
import type { CliContext } from './context.js';

type CommandModule = { register(program: Command, context: CliContext): void };

/** One file a command; only the one that is asked for is loaded, so that every command starts fast. */
const COMMANDS: Readonly<Record<string, () => Promise<CommandModule>>> = {
  run: () => import('./commands/run.js'),
  lab: () => import('./commands/lab.js'),
  status: () => import('./commands/status.js'),
  replay: () => import('./commands/replay.js'),
  flows: () => import('./commands/flows.js'),
  workloads: () => import('./commands/workloads.js'),
  fingerprint: () => import('./commands/fingerprint.js'),
  forecast: () => import('./commands/forecast.js'),
  plan: () => import('./commands/plan.js'),
  cost: () => import('./commands/cost.js'),
  query: () => import('./commands/query.js'),
  config: () => import('./commands/config.js'),
  bench: () => import('./commands/bench.js'),
  detach: () => import('./commands/detach.js'),
  doctor: () => import('./commands/doctor.js'),
  token: () => import('./commands/token.js'),
};

const USAGE_EXIT = 2;

async function main(): Promise<number> {
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => abort.abort(signal));
  // A reader that went away (`| head`) ends the command quietly instead of crashing it.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });

  const context: CliContext = {
    stdout: process.stdout,
    stderr: process.stderr,
    interactive: process.stdout.isTTY === true,
    signal: abort.signal,
  };
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const program = new Command('tidegate')
    .description('A network gateway that forecasts: measure, recognise, forecast, plan.')
    .version(version)
    .showSuggestionAfterError()
    .exitOverride();

  const asked = process.argv.slice(2).find((argument) => !argument.startsWith('-'));
  const wanted = asked !== undefined && asked in COMMANDS ? [asked] : Object.keys(COMMANDS);
  for (const name of wanted) (await COMMANDS[name]!()).register(program, context);

  try {
    await program.parseAsync();
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT;
    if (error instanceof TidegateError) {
      process.stderr.write(`${error.toLine()}\n`);
      return error.exitCode;
    }
    process.stderr.write(
      `TG_CLI_UNEXPECTED: ${messageOf(error)}; this is a defect, please report it with the lines below\n`,
    );
    if (error instanceof Error && error.stack) process.stderr.write(`${error.stack}\n`);
    return 1;
  }
}

// onnxruntime would report its use to its maker. A gateway tells nobody anything that it was not asked to tell. Set here,
// in the main thread and before the library is loaded, because only this thread's environment is the process's.
process.env.ORT_DISABLE_TELEMETRY = '1';
const code = await main();
// Pipes are flushed before the process ends; nothing else may hold it open.
process.stdout.write('', () => process.exit(code));
