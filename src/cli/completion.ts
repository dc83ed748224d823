import { type CommandDescription, flatten } from './describe.js';

const key = (command: CommandDescription): string => command.path.join(' ');
const shellWord = (text: string): string => text.replaceAll("'", "'\\''");

/** Words that may follow a command: its children, and its options. */
const nextWords = (command: CommandDescription): string[] => [
  ...command.children.map((child) => child.path.at(-1) ?? ''),
  ...command.options.flatMap((o) => [o.long, o.short].flatMap((flag) => flag ?? [])),
  '--help',
];

/** Options of all commands whose values are known. */
function choicesOf(root: CommandDescription): Map<string, string[]> {
  const choices = new Map<string, string[]>();
  for (const command of flatten(root))
    for (const option of command.options)
      for (const flag of [option.long, option.short])
        if (flag !== undefined && option.choices.length > 0)
          choices.set(`${key(command)} ${flag}`.trim(), [...option.choices]);
  return choices;
}

/** Completion for bash: words that follow the longest command that was typed. */
export function bashCompletion(root: CommandDescription): string {
  const words = flatten(root)
    .map((command) => `    '${key(command)}') words='${shellWord(nextWords(command).join(' '))}' ;;`)
    .join('\n');
  const values = [...choicesOf(root)]
    .map(
      ([name, list]) =>
        `    '${name}') COMPREPLY=($(compgen -W '${list.join(' ')}' -- "$current")); return ;;`,
    )
    .join('\n');
  return `# bash completion of tidegate; made by \`tidegate completion bash\`
_tidegate() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" command='' words='' word next
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] && continue
    next="\${command:+$command }$word"
    case "$next" in
${flatten(root)
  .filter((command) => command.path.length > 0)
  .map((command) => `      '${key(command)}') command="$next" ;;`)
  .join('\n')}
    esac
  done
  case "\${command:+$command }$previous" in
${values}
  esac
  case "$command" in
${words}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ \${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "$current"))
}
complete -o default -F _tidegate tidegate
`;
}

/** Completion for zsh: bash's, through zsh's own bridge. */
export const zshCompletion = (root: CommandDescription): string =>
  `#compdef tidegate\nautoload -U +X bashcompinit && bashcompinit\n${bashCompletion(root)}`;

/** Completion for fish: one line a word, with its description. */
export function fishCompletion(root: CommandDescription): string {
  const lines = flatten(root).flatMap((command) => {
    const seen = command.path.map((word) => `__fish_seen_subcommand_from ${word}`);
    const names = command.children.map((child) => child.path.at(-1) ?? '');
    const open = names.length > 0 ? `not __fish_seen_subcommand_from ${names.join(' ')}` : undefined;
    const here = [...seen, open].filter((part) => part !== undefined).join('; and ');
    const condition = here === '' ? '' : ` -n '${here}'`;
    const children = command.children.map(
      (child) =>
        `complete -c tidegate -f${condition} -a ${child.path.at(-1)} -d '${shellWord(child.description)}'`,
    );
    const options = command.options.map((o) => {
      const names = `${o.long === undefined ? '' : ` -l ${o.long.slice(2)}`}${o.short === undefined ? '' : ` -s ${o.short.slice(1)}`}`;
      const value = o.choices.length > 0 ? ` -x -a '${o.choices.join(' ')}'` : o.takesValue ? ' -r' : '';
      return `complete -c tidegate${condition}${names}${value} -d '${shellWord(o.description)}'`;
    });
    return [...children, ...options];
  });
  return `# fish completion of tidegate; made by \`tidegate completion fish\`\n${lines.join('\n')}\n`;
}
