// Writes src/console/answers.generated.ts, the API's answers as the console reads them, from the OpenAPI document:
// node scripts/generate-console-types.mjs [--check]. Needs `make ts`.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile } from 'json-schema-to-typescript';
import { apiDocument } from './api-document.mjs';

const root = join(import.meta.dirname, '..');
const file = join(root, 'src', 'console', 'answers.generated.ts');
const { paths } = await apiDocument();

/** `GET /api/overview` → the schema of its answer. */
const properties = Object.fromEntries(
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) => {
      const schema = operation.responses?.['200']?.content?.['application/json']?.schema;
      return schema === undefined ? [] : [[`${method.toUpperCase()} ${path}`, schema]];
    }),
  ),
);
const source = await compile(
  { type: 'object', properties, required: Object.keys(properties), additionalProperties: false },
  'Answers',
  {
    additionalProperties: false,
    bannerComment:
      '/** Answers of the API by method and path. Made by scripts/generate-console-types.mjs from the OpenAPI document; do not edit. */',
    format: false,
  },
);
const text = execFileSync(
  join(root, 'node_modules', '.bin', 'biome'),
  ['format', '--stdin-file-path', 'src/console/answers.generated.ts'],
  { input: source, cwd: root, encoding: 'utf8' },
);
if (!process.argv.includes('--check')) writeFileSync(file, text);
else if (readFileSync(file, 'utf8') !== text) {
  console.error(`${file} is stale: make reference`);
  process.exit(1);
}
