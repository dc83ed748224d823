import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { buildProgram } from '../../src/cli/table.js';
import { writeRuntimeFile } from '../../src/config/runtime-file.js';
import { ApiFixture, GATEWAY } from '../api/support.js';

const fixture = new ApiFixture();
const directory = mkdtempSync(join(tmpdir(), 'tidegate-plan-act-'));

/** Runs a command against the fixture's gateway in this process; what it printed. */
async function tidegate(...words: string[]): Promise<{ stdout: string; stderr: string }> {
  const printed = { stdout: '', stderr: '' };
  const into = (name: keyof typeof printed): Writable =>
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        printed[name] += chunk.toString('utf8');
        done();
      },
    });
  const program = await buildProgram(
    {
      stdout: into('stdout'),
      stderr: into('stderr'),
      interactive: false,
      progress: false,
      signal: new AbortController().signal,
    },
    ['plan'],
  );
  await program.exitOverride().parseAsync(['node', 'tidegate', 'plan', ...words]);
  return printed;
}

beforeAll(async () => {
  vi.stubEnv('TIDEGATE_RUN_DIRECTORY', directory);
  await fixture.start();
  writeRuntimeFile({
    gateway: GATEWAY,
    pid: process.pid,
    startedMs: Date.now(),
    dataDirectory: fixture.directory,
    store: await fixture.store.endpoint(),
    api: { socket: fixture.socketPath, urls: [] },
  });
}, 120_000);
afterAll(async () => {
  vi.unstubAllEnvs();
  await fixture.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe('tidegate plan preview, apply, rollback', () => {
  test('a plan is looked at, applied and undone through the running gateway', async () => {
    const { id } = fixture.plans[1]!;
    const rows = (text: string): number => text.trim().split('\n').length - 1;
    const looked = await tidegate('preview', id.slice(0, 12), '--output', 'csv');
    expect(fixture.operations.state.followingPlanId).toBeNull();
    const applied = await tidegate('apply', id.slice(0, 12), '--output', 'csv');
    expect(applied.stdout).toBe(looked.stdout);
    expect(rows(applied.stdout)).toBeGreaterThan(0);
    expect(fixture.operations.state.followingPlanId).toBe(id);
    const undone = await tidegate('rollback', '--reason', 'a test', '--output', 'json');
    expect(JSON.parse(undone.stdout)).toMatchObject({ planId: id });
    expect(fixture.operations.state.followingPlanId).toBeNull();
  });

  test.each([
    ['an id that is none', ['apply', 'zzzzzz'], 'TG_API_INVALID', 2],
    ['a plan that does not exist', ['apply', '0123456789abcdef'], 'TG_PLAN_UNKNOWN', 2],
    ['nothing to undo', ['rollback'], 'TG_API_NOTHING_APPLIED', 4],
    ['a gateway that does not run', ['apply', 'abcdef', '--gateway', 'other'], 'TG_CLI_NO_GATEWAY', 1],
  ])('%s: refused with a code and an exit code', async (_what, words, code, exitCode) => {
    await expect(tidegate(...words)).rejects.toMatchObject({ code, exitCode });
  });
});
