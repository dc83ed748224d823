import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { defineErrors, messageOf } from '../base/errors.js';
import { type HeaderRule, headerRulesConfig } from '../capture/application-config.js';

const fail = defineErrors({
  TG_CLI_HEADER_RULES: {
    message: '{file} has no header rules: {reason}',
    hint: 'a YAML or JSON list of {name, transport, port, direction, offset, length, mask}, see docs/datapath.md',
    exitCode: 2,
  },
});

/** The header rules in a file, none without one. @throws TG_CLI_HEADER_RULES */
export async function readHeaderRules(file: string | undefined): Promise<HeaderRule[]> {
  if (file === undefined) return [];
  let document: unknown;
  try {
    document = parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw fail('TG_CLI_HEADER_RULES', { file, reason: messageOf(error) }, error);
  }
  const result = headerRulesConfig.safeParse(document);
  if (result.success) return result.data;
  const reason = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw fail('TG_CLI_HEADER_RULES', { file, reason });
}
