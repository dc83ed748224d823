import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import type { CliContext } from './context.js';

type CommandModule = { register(program: Command, context: CliContext): void };

/** One file a command; only the one that is asked for is loaded, so that every command starts fast. */
export const COMMANDS: Readonly<Record<string, () => Promise<CommandModule>>> = {
  run: () => import('./commands/run.js'),
  lab: () => import('./commands/lab.js'),
  status: () => import('./commands/status.js'),
  doctor: () => import('./commands/doctor.js'),
  flows: () => import('./commands/flows.js'),
  workloads: () => import('./commands/workloads.js'),
  forecast: () => import('./commands/forecast.js'),
  plan: () => import('./commands/plan.js'),
  cost: () => import('./commands/cost.js'),
  query: () => import('./commands/query.js'),
  replay: () => import('./commands/replay.js'),
  fingerprint: () => import('./commands/fingerprint.js'),
  config: () => import('./commands/config.js'),
  token: () => import('./commands/token.js'),
  bench: () => import('./commands/bench.js'),
  detach: () => import('./commands/detach.js'),
  completion: () => import('./commands/completion.js'),
};

/** The program with these commands; all of them when none is named. */
export async function buildProgram(
  context: CliContext,
  names: readonly string[] = Object.keys(COMMANDS),
): Promise<Command> {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const program = new Command('tidegate')
    .description('A network gateway that forecasts: measure, recognise, forecast, plan.')
    .version(version)
    .option('--no-progress', 'no progress bars, even where stderr is a terminal')
    .showSuggestionAfterError()
    .exitOverride();
  for (const name of names) (await COMMANDS[name]!()).register(program, context);
  return program;
}
