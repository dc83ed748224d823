import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CommandDescription, describe as describeCommand, flatten } from '../../src/cli/describe.js';
import { buildProgram } from '../../src/cli/table.js';
import { loadConfig } from '../../src/config/load.js';
import { gatewayConfig } from '../../src/config/schema.js';

const root = join(import.meta.dirname, '..', '..');
const directory = mkdtempSync(join(tmpdir(), 'tidegate-docs-'));
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
].map((name) => ({ name, text: readFileSync(join(root, name), 'utf8') }));
const written = pages.filter(({ name }) => !name.includes('/reference/'));

const blocks = (language: string): { name: string; code: string }[] =>
  written.flatMap(({ name, text }) =>
    [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map((m) => ({
      name,
      code: m[1]!,
    })),
  );

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

describe('documentation', () => {
  let commands: CommandDescription[];
  beforeAll(async () => {
    const context = {
      stdout: process.stdout,
      stderr: process.stderr,
      interactive: false,
      progress: false,
      signal: new AbortController().signal,
    };
    commands = flatten(describeCommand(await buildProgram(context)));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test.each(['scripts/generate-reference.mjs', 'scripts/generate-console-types.mjs', 'bench/document.mjs'])(
    'what %s made is what it would make today',
    (script) => {
      const run = spawnSync('node', [join(root, script), '--check'], { encoding: 'utf8' });
      expect(run.stderr).toBe('');
      expect(run.status).toBe(0);
    },
  );

  test('every link leads somewhere', () => {
    for (const { name, text } of pages) {
      const prose = text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
      for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target!)) continue;
        const [path = '', anchor] = target!.split('#');
        const file = path === '' ? join(root, name) : join(root, dirname(name), path);
        expect(existsSync(file), `${name} links to ${target}`).toBe(true);
        if (anchor === undefined) continue;
        const headings = [...readFileSync(file, 'utf8').matchAll(/^#+ (.+)$/gm)].map((m) => anchorOf(m[1]!));
        expect(headings, `${name} links to ${target}`).toContain(anchor);
      }
    }
  });

  test('every page can be reached from the index', () => {
    const seen = new Set<string>();
    const visit = (name: string): void => {
      if (seen.has(name)) return;
      seen.add(name);
      const text = pages.find((page) => page.name === name)?.text ?? '';
      for (const [, path] of text.matchAll(/\]\(([^)#\s]+\.md)/g))
        visit(relative(root, join(root, dirname(name), path!)));
    };
    visit(join('docs', 'README.md'));
    expect(pages.map((page) => page.name).filter((name) => name !== 'README.md' && !seen.has(name))).toEqual(
      [],
    );
  });

  test('every command line in it is one that the program takes', () => {
    const lines = blocks('sh').flatMap(({ name, code }) =>
      code
        .replaceAll('\\\n', ' ')
        .split('\n')
        .map((line) => ({ name, line: line.replace(/\s#.*$/, '') })),
    );
    let checked = 0;
    for (const { name, line } of lines) {
      const call = /^\s*(?:npx |sudo )*tidegate (.+)$/.exec(line)?.[1];
      if (call === undefined) continue;
      // Quoted words are one word; their content is the caller's.
      const words = (call.match(/'[^']*'|"[^"]*"|\S+/g) ?? []).filter((word) => !/^[|>&]/.test(word));
      let command = commands[0]!;
      for (const word of words) {
        const child = command.children.find((c) => c.path.at(-1) === word);
        if (child === undefined) break;
        command = child;
      }
      expect(command.path.length, `${name}: ${line}`).toBeGreaterThan(0);
      for (const option of words
        .filter((word) => /^--?[a-z]/.test(word))
        .map((word) => word.split('=')[0]!)) {
        const known = ['--help', '--version', ...command.options.flatMap((o) => [o.long, o.short])];
        expect(known, `${name}: ${line}`).toContain(option);
      }
      checked += 1;
    }
    expect(checked).toBeGreaterThan(20);
  });

  test('every configuration in the how-tos is one that a gateway takes', () => {
    const snippets = blocks('yaml').filter(({ name }) => name.includes('how-to'));
    expect(snippets.length).toBeGreaterThan(6);
    for (const [i, { name, code }] of snippets.entries()) {
      const file = join(directory, `${i}.yaml`);
      writeFileSync(file, code);
      expect(() => loadConfig(gatewayConfig, { file }), `${name}:\n${code}`).not.toThrow();
    }
  });
});
