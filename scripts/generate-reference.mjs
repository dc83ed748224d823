// Writes docs/reference/*.md from the program itself: node scripts/generate-reference.mjs [--check]. Needs `make ts`.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiDocument } from './api-document.mjs';

const root = join(import.meta.dirname, '..');
const dist = (path) => import(join(root, 'dist', path));
const [
  { buildProgram },
  { describe, flatten },
  { configJsonSchema },
  { METRICS, API_REQUESTS },
  { OBSERVED, observedName },
  { checksOf },
  { gatewayConfig },
] = await Promise.all([
  dist('cli/table.js'),
  dist('cli/describe.js'),
  dist('config/describe.js'),
  dist('api/metrics.js'),
  dist('api/observations.js'),
  dist('doctor/index.js'),
  dist('config/schema.js'),
]);

const cell = (text) => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ');
const table = (titles, rows) =>
  [
    `| ${titles.join(' | ')} |`,
    `|${titles.map(() => '---').join('|')}|`,
    ...rows.map((row) => `| ${row.map(cell).join(' | ')} |`),
  ].join('\n');
const head = (title, words) =>
  `# ${title}\n\nMade by \`node scripts/generate-reference.mjs\` from the program; do not edit.\n\n${words}\n`;

async function cli() {
  const context = {
    stdout: process.stdout,
    stderr: process.stderr,
    interactive: false,
    progress: false,
    signal: new AbortController().signal,
  };
  const commands = flatten(describe(await buildProgram(context))).filter((c) => c.path.length > 0);
  const sections = commands.map((command) => {
    const usage = [
      'tidegate',
      ...command.path,
      command.children.length > 0 ? 'COMMAND' : '',
      command.options.length > 0 ? '[options]' : '',
      command.arguments,
    ]
      .filter(Boolean)
      .join(' ');
    const options = command.options.map((o) => [
      `\`${o.flags}\``,
      `${o.description}${o.choices.length > 0 ? `: ${o.choices.join(', ')}` : ''}`,
    ]);
    return [
      `## \`tidegate ${command.path.join(' ')}\``,
      command.description,
      `\`\`\`\n${usage}\n\`\`\``,
      ...(options.length > 0 ? [table(['option', 'meaning'], options)] : []),
    ].join('\n\n');
  });
  return `${head('Command line', 'Data goes to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 called wrongly, 3 the doctor found a blocker, 4 a plan was refused.')}\n${sections.join('\n\n')}\n`;
}

function configuration() {
  const rows = [];
  const typeOf = (schema) => {
    if (schema.enum) return schema.enum.map((v) => `\`${v}\``).join(', ');
    const kinds = (schema.anyOf ?? [schema]).map((s) => s.type).filter(Boolean);
    const range = [
      schema.minimum !== undefined && `≥ ${schema.minimum}`,
      schema.maximum !== undefined && schema.maximum < 9e15 && `≤ ${schema.maximum}`,
    ].filter(Boolean);
    return [
      kinds.includes('string') && kinds.includes('number') ? 'quantity with unit' : kinds.join(' or '),
      ...range,
    ]
      .filter(Boolean)
      .join(', ');
  };
  const visit = (schema, path) => {
    for (const [key, child] of Object.entries(schema.properties ?? {})) {
      const name = path === '' ? key : `${path}.${key}`;
      if (child.properties) visit(child, name);
      else {
        rows.push([
          `\`${name}\``,
          typeOf(child),
          child.default === undefined ? '' : `\`${JSON.stringify(child.default)}\``,
        ]);
        if (child.items?.properties) visit(child.items, `${name}[]`);
      }
    }
  };
  visit(configJsonSchema(), '');
  return `${head('Configuration', 'YAML, then the environment (`TIDEGATE_STORE_URL` is `store.url`), then flags; the later wins. `tidegate config check FILE` says what is wrong and where, `tidegate config show FILE --origin` what is in force and where it was set, `tidegate config schema` prints this as JSON Schema for editors. Quantities are written with units: `10Gbit`, `5m`, `30d`, `64MiB`. `SIGHUP` takes over `logLevel`, `api`, `cycle` and `plan` while packets flow; the log names what needs a restart.')}\n${table(['setting', 'type', 'default'], rows)}\n`;
}

async function api() {
  const { paths } = await apiDocument();
  const sections = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const parameters = (operation.parameters ?? []).map((p) => [
        `\`${p.name}\``,
        p.in,
        p.description ?? p.schema?.description ?? (p.schema?.enum ?? []).join(', '),
        p.schema?.default === undefined ? '' : `\`${p.schema.default}\``,
      ]);
      const body = operation.requestBody?.content?.['application/json']?.schema;
      const fields = Object.entries(body?.properties ?? {}).map(([name, schema]) => [
        `\`${name}\``,
        'body',
        schema.description ?? schema.type ?? '',
        '',
      ]);
      const rows = [...parameters, ...fields];
      return [
        `## ${method.toUpperCase()} ${path}`,
        operation.summary ?? '',
        ...(rows.length > 0 ? [table(['parameter', 'in', 'meaning', 'default'], rows)] : []),
      ].join('\n\n');
    }),
  );
  return `${head('API', 'A running gateway describes itself at `/api/openapi.json` (OpenAPI 3.1) and `/api/docs`. Callers of the unix socket may do everything; callers from this host what `api.loopbackRole` says; all others need a bearer token (`tidegate token NAME`). Answers carry in `sql` the statements behind their numbers. Errors are `{code, message, hint}`.')}\n${sections.join('\n\n')}\n`;
}

const metrics = () =>
  `${head('Metrics', 'At `/metrics` in the Prometheus text format, the terms of the conservation law first: `seen = stored + resident + lost + unaccounted`. Alert rules and a dashboard are in `deploy/prometheus/`. Beside these, `process_…` and `nodejs_…` describe the process.')}\n${table(
    ['metric', 'type', 'labels', 'meaning'],
    [
      ...METRICS.map((m) => [`\`${m.name}\``, m.type, m.labels.join(', '), m.help]),
      ...Object.entries(OBSERVED).map(([what, { help }]) => [
        `\`${observedName(what)}\``,
        'histogram',
        '',
        help,
      ]),
      [
        `\`${API_REQUESTS}\``,
        'histogram',
        'method, route, status',
        'Answers of the API, by route and status.',
      ],
    ],
  )}\n`;

function errors() {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const found = new Map();
  const text = String.raw`(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")`;
  const entry = new RegExp(String.raw`\b(TG_[A-Z0-9_]+): \{\s*message:\s*${text},\s*hint:\s*${text}`, 'g');
  for (const file of files.sort())
    for (const [, code, m1, m2, h1, h2] of readFileSync(join(root, 'src', file), 'utf8').matchAll(entry))
      found.set(code, [`\`${code}\``, (m1 ?? m2).replaceAll("\\'", "'"), (h1 ?? h2).replaceAll("\\'", "'")]);
  return `${head('Error codes', 'Every error has a code that stays, what happened, and what to do next. Words in braces are filled in.')}\n${table(
    ['code', 'what happened', 'what to do'],
    [...found.keys()].sort().map((code) => found.get(code)),
  )}\n`;
}

function checks() {
  const rows = checksOf(gatewayConfig.parse({}), undefined, false).map(({ id, words }) => [
    `\`${id}\``,
    words,
  ]);
  return `${head('Checks of the doctor', '`tidegate doctor` tries what a gateway will do, takes it back, and says what is in the way: `ok`, `info`, `warning`, `blocker`, or `unknown`, with what to do next. Ids stay; a blocker makes the exit code 3. `--output json` is for scripts, `--quiet` shows what needs attention.')}\n${table(['id', 'what is looked at'], rows)}\n`;
}

const check = process.argv.includes('--check');
const directory = join(root, 'docs', 'reference');
mkdirSync(directory, { recursive: true });
const pages = {
  'cli.md': await cli(),
  'configuration.md': configuration(),
  'api.md': await api(),
  'metrics.md': metrics(),
  'doctor.md': checks(),
  'error-codes.md': errors(),
};
let stale = 0;
for (const [name, text] of Object.entries(pages)) {
  const file = join(directory, name);
  if (!check) writeFileSync(file, text);
  else {
    let now = '';
    try {
      now = readFileSync(file, 'utf8');
    } catch {}
    if (now !== text) {
      console.error(`docs/reference/${name} is stale: make ts && node scripts/generate-reference.mjs`);
      stale += 1;
    }
  }
}
process.exit(stale > 0 ? 1 : 0);
