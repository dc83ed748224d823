import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');
const PARTS = [
  'state_file',
  'flow_table',
  'flow_merge',
  'flow_expiry',
  'flow_state',
  'flow_row',
  'slabs',
  'address_mask',
];
const directory = mkdtempSync(join(tmpdir(), 'tidegate-state-'));
const state = join(existsSync('/dev/shm') ? '/dev/shm' : directory, `tidegate-state-test-${process.pid}`);
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
  rmSync(state, { force: true });
});

test('a table that is killed at any instruction loses no record and delivers none twice', () => {
  const program = join(directory, 'state_kill');
  execFileSync('g++', [
    '-std=c++20',
    '-O1',
    `-I${join(ROOT, 'native', 'src')}`,
    `-I${join(ROOT, 'bpf')}`,
    join(import.meta.dirname, 'state_kill.cc'),
    ...PARTS.map((part) => join(ROOT, 'native', 'src', `${part}.cc`)),
    '-o',
    program,
  ]);
  const output = execFileSync(program, [state, join(directory, 'log'), '60'], { encoding: 'utf8' });
  const result = JSON.parse(output) as Record<string, number>;
  expect(result).toMatchObject({ exit: 0, differing: 0, unbalanced: 0 });
  expect(result.kills).toBeGreaterThan(10);
  expect(result.delivered).toBe(result.expected);
}, 300_000);
