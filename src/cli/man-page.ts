import { type CommandDescription, flatten } from './describe.js';

/** Text for troff: backslashes and leading dots mean something there. */
const troff = (text: string): string =>
  text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');

const nameOf = (command: CommandDescription): string => ['tidegate', ...command.path].join(' ');
const pageOf = (command: CommandDescription): string => ['tidegate', ...command.path].join('-');

const EXIT_STATUS: readonly (readonly [string, string])[] = [
  ['0', 'done'],
  ['1', 'failed; the code and what to do are on stderr'],
  ['2', 'called wrongly, or a configuration that cannot be used'],
  ['3', 'the doctor found something in the way'],
  ['4', 'a plan was refused'],
];

/** man(7) page of one command. */
function page(command: CommandDescription, version: string): string {
  const title = pageOf(command).toUpperCase();
  const lines = [
    `.TH ${troff(title)} 1 "" "Tidegate ${version}" "Tidegate"`,
    '.SH NAME',
    `${troff(pageOf(command))} \\- ${troff(command.description)}`,
    '.SH SYNOPSIS',
    `.B ${troff(nameOf(command))}`,
    troff(
      `${command.children.length > 0 ? 'COMMAND ' : ''}${command.options.length > 0 ? '[options] ' : ''}${command.arguments}`,
    ),
  ];
  if (command.children.length > 0) {
    lines.push('.SH COMMANDS');
    for (const child of command.children)
      lines.push(
        '.TP',
        `.B ${troff(child.path.at(-1) ?? '')} ${troff(child.arguments)}`,
        troff(child.description),
      );
  }
  if (command.options.length > 0) {
    lines.push('.SH OPTIONS');
    for (const option of command.options) {
      const choices = option.choices.length > 0 ? `: ${option.choices.join(', ')}` : '';
      lines.push('.TP', `.B ${troff(option.flags)}`, troff(`${option.description}${choices}`));
    }
  }
  lines.push('.SH EXIT STATUS');
  for (const [code, meaning] of EXIT_STATUS) lines.push('.TP', `.B ${code}`, troff(meaning));
  lines.push(
    '.SH ENVIRONMENT',
    '.TP',
    '.B TIDEGATE_…',
    troff('any setting of the configuration, underscores for levels: TIDEGATE_STORE_URL is store.url'),
    '.TP',
    '.B NO_COLOR',
    'no colours',
  );
  return `${lines.join('\n')}\n`;
}

/** Man pages by file name, one a command: `tidegate-plan-show.1`. */
export const manPages = (root: CommandDescription, version: string): Map<string, string> =>
  new Map(flatten(root).map((command) => [`${pageOf(command)}.1`, page(command, version)]));
