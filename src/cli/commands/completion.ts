import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Argument, type Command } from 'commander';
import { bashCompletion, fishCompletion, zshCompletion } from '../completion.js';
import type { CliContext } from '../context.js';
import { type CommandDescription, describe } from '../describe.js';
import { manPages } from '../man-page.js';
import { buildProgram } from '../table.js';

const SHELLS: Readonly<Record<string, (root: CommandDescription) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** `tidegate completion bash|zsh|fish`, and with `--man` the man pages: both made from the commands themselves. */
export function register(program: Command, context: CliContext): void {
  program
    .command('completion')
    .description('print shell completion; e.g. `tidegate completion bash > /etc/bash_completion.d/tidegate`')
    .addArgument(new Argument('<shell>', 'for which shell').choices(Object.keys(SHELLS)))
    .option('--man <directory>', 'also write the man pages of all commands into a directory')
    .action(async (shell: string, options: { man?: string }) => {
      const whole = await buildProgram(context);
      const root = describe(whole);
      context.stdout.write(SHELLS[shell]!(root));
      if (options.man === undefined) return;
      mkdirSync(options.man, { recursive: true });
      for (const [name, text] of manPages(root, whole.version() ?? ''))
        writeFileSync(join(options.man, name), text);
    });
}
