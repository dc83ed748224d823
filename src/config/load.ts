import { readFileSync } from 'node:fs';
import { type Document, isMap, isNode, LineCounter, parseDocument, parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { defineErrors, messageOf } from '../base/errors.js';

const fail = defineErrors({
  TG_CONFIG_READ: {
    message: 'cannot read {file}: {reason}',
    hint: 'check the path and its permissions',
    exitCode: 2,
  },
  TG_CONFIG_YAML: { message: '{where}: {reason}', hint: 'correct the YAML there', exitCode: 2 },
  TG_CONFIG_INVALID: { message: '{problems}', hint: 'correct the values named', exitCode: 2 },
  TG_CONFIG_ENVIRONMENT: {
    message: '{variable} names no setting{suggestion}',
    hint: 'see `tidegate config show`',
    exitCode: 2,
  },
});

type Path = readonly PropertyKey[];

export interface ConfigInput {
  /** A YAML file; absent = defaults only. */
  readonly file?: string | undefined;
  /** `TIDEGATE_STORE_URL=…`: underscores nest, letter case does not matter. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** From command-line flags: dotted path → value. They win over everything else. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

export interface LoadedConfig<T> {
  readonly config: T;
  /** Dotted path → where its value was set (`file:line:column`, `TIDEGATE_…`, `flag`); defaults are absent. */
  readonly origins: ReadonlyMap<string, string>;
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly anyOf?: readonly JsonSchema[];
}

/** Edit distance (Levenshtein 1966), for did-you-mean. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}

const suggest = (name: string, known: readonly string[]): string => {
  const best = known
    .map((key) => [distance(name.toLowerCase(), key.toLowerCase()), key] as const)
    .sort((x, y) => x[0] - y[0])[0];
  return best !== undefined && best[0] <= Math.max(2, name.length / 3) ? `, did you mean "${best[1]}"?` : '';
};

/** A setting of exactly this name in another section. */
const elsewhere = (schema: JsonSchema, key: string): string => {
  const section = Object.entries(propertiesOf(schema)).find(([, child]) => key in propertiesOf(child))?.[0];
  return section === undefined ? '' : `, did you mean "${section}.${key}"?`;
};

const propertiesOf = (schema: JsonSchema | undefined): Readonly<Record<string, JsonSchema>> =>
  schema?.properties ?? schema?.anyOf?.find((option) => option.properties)?.properties ?? {};

const schemaAt = (schema: JsonSchema, path: Path): JsonSchema | undefined =>
  path.reduce<JsonSchema | undefined>((at, key) => propertiesOf(at)[String(key)], schema);

/** Finds the setting that an environment variable's words name: keys may themselves be camelCase of several words. */
function settingOf(schema: JsonSchema, words: readonly string[]): string[] | undefined {
  if (words.length === 0) return [];
  for (const [key, child] of Object.entries(propertiesOf(schema))) {
    for (let n = 1; n <= words.length; n += 1) {
      if (words.slice(0, n).join('').toLowerCase() !== key.toLowerCase()) continue;
      const rest = settingOf(child, words.slice(n));
      if (rest !== undefined) return [key, ...rest];
    }
  }
  return undefined;
}

function setAt(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = target;
  for (const key of path.slice(0, -1)) {
    if (typeof at[key] !== 'object' || at[key] === null) at[key] = {};
    at = at[key] as Record<string, unknown>;
  }
  at[path[path.length - 1]!] = value;
}

function positionOf(
  document: Document | undefined,
  lines: LineCounter,
  file: string,
  path: Path,
): string | undefined {
  for (let length = path.length; document !== undefined && length > 0; length -= 1) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) {
      const { line, col } = lines.linePos(node.range[0]);
      return `${file}:${line}:${col}`;
    }
  }
  return undefined;
}

function keyPosition(document: Document, lines: LineCounter, file: string, path: Path, key: string): string {
  const parent: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
  const pair = isMap(parent) ? parent.items.find((item) => String(item.key) === key) : undefined;
  if (pair && isNode(pair.key) && pair.key.range) {
    const { line, col } = lines.linePos(pair.key.range[0]);
    return `${file}:${line}:${col}`;
  }
  return file;
}

/**
 * Reads the configuration: defaults < YAML file < environment < flags, checked by one schema. Every problem is
 * reported at once, each with file, line and column, what was expected and, for unknown keys, a did-you-mean.
 *
 * @throws TG_CONFIG_READ, TG_CONFIG_YAML, TG_CONFIG_INVALID, TG_CONFIG_ENVIRONMENT
 */
export function loadConfig<S extends z.ZodType>(schema: S, input: ConfigInput): LoadedConfig<z.output<S>> {
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  const lines = new LineCounter();
  const origins = new Map<string, string>();
  let document: Document | undefined;
  let values: Record<string, unknown> = {};

  if (input.file !== undefined) {
    let text: string;
    try {
      text = readFileSync(input.file, 'utf8');
    } catch (error) {
      throw fail('TG_CONFIG_READ', { file: input.file, reason: messageOf(error) }, error);
    }
    document = parseDocument(text, { lineCounter: lines });
    const broken = document.errors[0];
    if (broken) {
      const { line, col } = lines.linePos(broken.pos[0]);
      throw fail('TG_CONFIG_YAML', {
        where: `${input.file}:${line}:${col}`,
        reason: broken.message.split('\n')[0],
      });
    }
    values = (document.toJS() as Record<string, unknown> | null) ?? {};
  }

  for (const [variable, text] of Object.entries(input.environment ?? {})) {
    if (!variable.startsWith('TIDEGATE_') || text === undefined) continue;
    const words = variable.slice('TIDEGATE_'.length).split('_').filter(Boolean);
    if (['RUN_DIRECTORY', 'DATA', 'CONFIG'].includes(words.join('_'))) continue;
    const path = settingOf(json, words);
    if (path === undefined) {
      throw fail('TG_CONFIG_ENVIRONMENT', {
        variable,
        suggestion: suggest(words[0] ?? '', Object.keys(propertiesOf(json))),
      });
    }
    setAt(values, path, parseYaml(text));
    origins.set(path.join('.'), variable);
  }
  for (const [path, value] of Object.entries(input.flags ?? {})) {
    if (value === undefined) continue;
    setAt(values, path.split('.'), value);
    origins.set(path, 'flag');
  }

  const result = schema.safeParse(values);
  if (!result.success) {
    const problems = result.error.issues.flatMap((issue) => {
      const at = issue.path.join('.');
      if (issue.code === 'unrecognized_keys') {
        return issue.keys.map((key) => {
          const where =
            document && input.file
              ? keyPosition(document, lines, input.file, issue.path, key)
              : 'configuration';
          const known = Object.keys(propertiesOf(schemaAt(json, issue.path)));
          return `${where} ${at ? `${at}.` : ''}${key}: unknown setting${elsewhere(json, key) || suggest(key, known)}`;
        });
      }
      const where =
        origins.get(at) ??
        positionOf(document, lines, input.file ?? '', issue.path) ??
        input.file ??
        'configuration';
      return [`${where} ${at}: ${issue.message}`];
    });
    throw fail('TG_CONFIG_INVALID', { problems: problems.join('\n') });
  }

  if (document !== undefined && input.file !== undefined) {
    const visit = (value: unknown, path: string[]): void => {
      const name = path.join('.');
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        for (const [key, child] of Object.entries(value)) visit(child, [...path, key]);
      } else if (path.length > 0 && !origins.has(name)) {
        const where = positionOf(document, lines, input.file ?? '', path);
        if (where !== undefined) origins.set(name, where);
      }
    };
    visit(document.toJS(), []);
  }
  return { config: result.data, origins };
}
