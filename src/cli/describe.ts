import type { Command } from 'commander';

export interface OptionDescription {
  readonly flags: string;
  readonly long: string | undefined;
  readonly short: string | undefined;
  readonly description: string;
  readonly choices: readonly string[];
  readonly takesValue: boolean;
}

/** A command as its help tells it: what man pages, completions and the reference are made from. */
export interface CommandDescription {
  /** Words that call it, without the program's name: `['plan', 'show']`. */
  readonly path: readonly string[];
  readonly description: string;
  readonly arguments: string;
  readonly options: readonly OptionDescription[];
  readonly children: readonly CommandDescription[];
}

/** The table of a program's commands. */
export function describe(command: Command, path: readonly string[] = []): CommandDescription {
  return {
    path,
    description: command.description(),
    arguments: command.registeredArguments
      .map((a) => {
        const name = `${a.name()}${a.variadic ? '…' : ''}`;
        return a.required ? `<${name}>` : `[${name}]`;
      })
      .join(' '),
    options: command.options
      .filter((o) => !o.hidden)
      .map((o) => ({
        flags: o.flags,
        long: o.long ?? undefined,
        short: o.short ?? undefined,
        description: `${o.description}${o.defaultValue === undefined || Array.isArray(o.defaultValue) ? '' : ` (default ${JSON.stringify(o.defaultValue)})`}`,
        choices: o.argChoices ?? [],
        takesValue: o.required || o.optional,
      })),
    children: command.commands.map((child) => describe(child, [...path, child.name()])),
  };
}

/** The command and all below it, in order. */
export const flatten = (command: CommandDescription): CommandDescription[] => [
  command,
  ...command.children.flatMap(flatten),
];
