import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

test('rooms depend one way only', () => {
  execFileSync('node', ['scripts/check-imports.mjs'], { cwd: root, stdio: 'pipe' });
});

test('the top level holds the agreed rooms and nothing else', () => {
  const tracked = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' });
  const top = new Set(
    tracked
      .split('\n')
      .filter(Boolean)
      .map((path) => path.split('/')[0]),
  );
  const allowed = new Set([
    ...['bpf', 'native', 'src', 'bench', 'test', 'docs', 'deploy', 'scripts', '.ci'],
    ...[
      'package.json',
      'package-lock.json',
      'binding.gyp',
      'tsconfig.json',
      'tsconfig.test.json',
      'Makefile',
    ],
    ...['biome.json', 'vitest.config.ts', '.clang-format', '.gitignore', '.npmrc'],
    ...['README.md', 'CONTRIBUTING.md', 'LICENSE'],
  ]);
  expect([...top].filter((name) => !allowed.has(name!))).toEqual([]);
});

test('every room of the source tree is described in the architecture page', async () => {
  const { readFile } = await import('node:fs/promises');
  const page = await readFile(join(root, 'docs', 'architecture.md'), 'utf8');
  const rooms = readdirSync(join(root, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(root, 'src', entry.name)))
    .filter((entry) => readdirSync(join(root, 'src', entry.name)).length > 0)
    .map((entry) => entry.name);
  expect(rooms.filter((room) => !page.includes(`\`src/${room}\``))).toEqual([]);
});
