import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { apiConfig } from '../../src/api/config.js';

const root = join(import.meta.dirname, '..', '..');
const file = join(root, 'deploy', 'container', 'Containerfile');
const text = readFileSync(file, 'utf8');
const directory = mkdtempSync(join(tmpdir(), 'tidegate-container-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What the linter of the Dockerfile language service says; nothing = nothing to say. */
function lint(path: string): string {
  const run = spawnSync(join(root, 'node_modules', '.bin', 'dockerfile-utils'), ['lint', path], {
    encoding: 'utf8',
  });
  return `${run.stdout}${run.stderr}`.trim();
}

describe('the container file', () => {
  test('lints without a word', () => {
    expect(lint(file)).toBe('');
    // The linter does look.
    const wrong = join(directory, 'Dockerfile');
    writeFileSync(wrong, `${text}RUNN true\nCMD ["twice"]\n`);
    expect(lint(wrong)).toMatch(/Unknown instruction: RUNN/);
    expect(lint(wrong)).toMatch(/only be one CMD/);
  });

  test('has a shell that takes its commands', () => {
    for (const [, command] of text.matchAll(/^RUN ((?:.*\\\n)*.*)$/gm)) {
      const run = spawnSync('sh', ['-n', '-c', command!.replaceAll('\\\n', ' ')], { encoding: 'utf8' });
      expect(run.stderr, command).toBe('');
    }
  });

  test('pins its base, cleans up, and calls what exists', () => {
    expect(text).toMatch(/^FROM \S+:\d[\w.-]+$/m);
    expect(text).toMatch(/apt-get install .*--no-install-recommends[\s\S]*rm -rf \/var\/lib\/apt\/lists/);
    const port = apiConfig.parse({}).listen[0]?.port;
    expect(text).toContain(`EXPOSE ${port}`);
    for (const [, words] of text.matchAll(/^(?:CMD|HEALTHCHECK .*? CMD) (\[.*\])$/gm)) {
      const [command, ...options] = (JSON.parse(words!) as string[]).filter((word) => word !== 'tidegate');
      const help = spawnSync('node', [join(root, 'dist', 'cli', 'main.js'), command!, '--help'], {
        encoding: 'utf8',
      });
      expect(help.status, command).toBe(0);
      for (const option of options.filter((word) => word.startsWith('--')))
        expect(help.stdout).toContain(option);
    }
  });
});
