import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const cli = join(root, 'dist', 'cli', 'main.js');
const directory = mkdtempSync(join(tmpdir(), 'tidegate-cli-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const run = (options: readonly string[], more: Record<string, string> = {}) =>
  spawnSync('node', [cli, ...options], {
    encoding: 'utf8',
    env: {
      ...process.env,
      TIDEGATE_RUN_DIRECTORY: join(directory, 'run'),
      ORT_DISABLE_TELEMETRY: '',
      ...more,
    },
  });

test('the process tells the inference library not to report to its maker', () => {
  const probe = join(directory, 'probe.cjs');
  // Printed at exit by the process itself: what the libraries that it loaded could see.
  writeFileSync(
    probe,
    "process.on('exit', () => require('node:fs').writeFileSync(process.env.PROBE, process.env.ORT_DISABLE_TELEMETRY ?? ''));",
  );
  const answer = join(directory, 'answer');
  run(['--version'], { NODE_OPTIONS: `--require ${probe}`, PROBE: answer });
  expect(readFileSync(answer, 'utf8')).toBe('1');
});

test.each([
  [['status'], 1, /^TG_CLI_NO_GATEWAY: no running gateway; start one/],
  [['flows', 'top', '--by', 'colour'], 2, /^TG_CLI_DIMENSION: "colour" is not a dimension/],
  [['replay'], 2, /missing required argument/],
  [['stat'], 2, /Did you mean status/],
  [['replay', 'x.pcap', '--idle-timeout', 'soon'], 2, /^TG_BASE_UNIT: "soon" is not a duration/],
  [['run'], 2, /^TG_GATEWAY_NO_INTERFACE: no interface to watch/],
  [['config', 'check', '/nonexistent.yaml'], 2, /^TG_CONFIG_READ: cannot read/],
])('`tidegate %j` ends with one line that says what is wrong', (options, status, message) => {
  const result = run(options, { TIDEGATE_DATA_DIRECTORY: directory });
  expect(result.stderr).toMatch(message);
  expect(result.status).toBe(status);
  expect(result.stdout).toBe('');
});

test('the defaults are a valid configuration, shown with every value', () => {
  const { status, stdout } = run(['config', 'show', '--output', 'json']);
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    gateway: 'tidegate',
    cycle: { every: 300_000 },
    store: { database: 'tidegate' },
  });
});
