import type { Command } from 'commander';
import type { CliContext, OutputFormat } from '../context.js';
import { askDaemon, requireDaemon } from '../daemon.js';
import { outputOption } from '../options.js';
import { printRows, toJson } from '../output.js';

interface Step {
  readonly actuator: string;
  readonly action: string;
  readonly target: string;
  readonly words: string;
}

interface Undoable {
  readonly refused: readonly { readonly actuator: string; readonly reason: string }[];
}

interface Options {
  readonly gateway?: string;
  readonly output: OutputFormat;
}

function print(context: CliContext, { output }: Options, answer: object, steps: readonly Step[]): void {
  if (output === 'json') {
    context.stdout.write(`${toJson(answer)}\n`);
    return;
  }
  printRows(context, output, steps, [
    { title: 'actuator', value: (s) => s.actuator },
    { title: 'action', value: (s) => s.action },
    { title: 'target', value: (s) => s.target },
    { title: 'what', value: (s) => s.words },
  ]);
}

/** What an actuator cannot do of a plan, on stderr: it is no row of the result. */
function tell(context: CliContext, { refused }: Undoable): void {
  for (const { actuator, reason } of refused)
    context.stderr.write(`not done: ${actuator} refuses ${reason}\n`);
}

/**
 * `tidegate plan preview|apply|rollback`: through the running gateway, which holds the lease and the journal. Who may
 * use the gateway's socket may say yes to a plan.
 */
export function registerActions(plan: Command, context: CliContext): void {
  plan
    .command('preview')
    .description('what applying a plan now would change, and what speaks against it; nothing is changed')
    .argument('<id>', 'beginning of a plan id, at least 6 digits')
    .option('--gateway <name>', 'which gateway, when several run here')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(async (id: string, options: Options) => {
      const answer = await askDaemon<Undoable & { steps: readonly Step[]; against: readonly string[] }>(
        await requireDaemon(options),
        `/api/plans/${encodeURIComponent(id)}/preview`,
      );
      print(context, options, answer, answer.steps);
      tell(context, answer);
      for (const reason of answer.against) context.stderr.write(`would be refused: ${reason}\n`);
    });
  plan
    .command('apply')
    .description('say yes to a plan, apply it, and follow it through its periods')
    .argument('<id>', 'beginning of a plan id, at least 6 digits')
    .option('--gateway <name>', 'which gateway, when several run here')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(async (id: string, options: Options) => {
      const daemon = await requireDaemon(options);
      const path = `/api/plans/${encodeURIComponent(id)}`;
      const { plan: found } = await askDaemon<{ plan: { id: string } }>(daemon, `${path}/approve`, {});
      const answer = await askDaemon<Undoable & { applied: readonly Step[] }>(
        daemon,
        `/api/plans/${found.id}/apply`,
        {},
      );
      print(context, options, answer, answer.applied);
      tell(context, answer);
    });
  plan
    .command('rollback')
    .description('undo the plan that is applied, step by step, newest first')
    .option('--reason <words>', 'for the journal', 'asked for on the command line')
    .option('--gateway <name>', 'which gateway, when several run here')
    .addOption(outputOption(['table', 'json', 'csv']))
    .action(async (options: Options & { reason: string }) => {
      const answer = await askDaemon<{ planId: string }>(
        await requireDaemon(options),
        '/api/plans/rollback',
        { reason: options.reason },
      );
      if (options.output === 'json') context.stdout.write(`${toJson(answer)}\n`);
      else printRows(context, options.output, [answer], [{ title: 'undone', value: ({ planId }) => planId }]);
    });
}
