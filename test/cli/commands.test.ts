import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { type Command, CommanderError } from 'commander';
import { afterAll, describe, expect, test } from 'vitest';
import type { CliContext } from '../../src/cli/context.js';
import { describe as describeCommand, flatten } from '../../src/cli/describe.js';
import { buildProgram, COMMANDS } from '../../src/cli/table.js';
import { ipv4Frame, pcapFile } from '../support/pcap.js';

const root = join(import.meta.dirname, '..', '..');
const main = join(root, 'dist', 'cli', 'main.js');
const directory = mkdtempSync(join(tmpdir(), 'tidegate-commands-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const tidegate = (...words: string[]) =>
  spawnSync('node', [main, ...words], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', TIDEGATE_RUN_DIRECTORY: directory },
  });

const context: CliContext = {
  stdout: new Writable(),
  stderr: new Writable(),
  interactive: false,
  progress: false,
  signal: new AbortController().signal,
};
const commands = flatten(describeCommand(await buildProgram(context))).filter((c) => c.path.length > 0);
const leaves = commands.filter((c) => c.children.length === 0);

/** What has no rows to print: acts, writes a file of its own format, or follows a gateway on a screen. */
const NO_ROWS = [
  'run', 'lab', 'status', 'token', 'detach', 'completion', 'config check', 'config schema', 'cost import',
  'fingerprint train',
]; // biome-ignore format: a list

describe('every command', () => {
  test('is in the table, and the table has no other', () => {
    expect([...new Set(commands.map((c) => c.path[0]))].sort()).toEqual(Object.keys(COMMANDS).sort());
    for (const command of commands) expect(command.description, command.path.join(' ')).not.toBe('');
  });

  test('that prints rows prints them as a table, JSON or CSV', () => {
    for (const leaf of leaves) {
      const name = leaf.path.join(' ');
      const output = leaf.options.find((o) => o.long === '--output')?.choices ?? [];
      if (NO_ROWS.includes(name)) continue;
      // A replay's records have too many fields for a table.
      const wanted = name === 'replay' ? ['json', 'csv'] : ['table', 'json', 'csv'];
      expect(output, name).toEqual(expect.arrayContaining(wanted));
    }
    expect(leaves.map((l) => l.path.join(' '))).toEqual(expect.arrayContaining(NO_ROWS));
  });

  test('refuses what it does not know on stderr, with exit code 2', async () => {
    for (const { path } of leaves) {
      const program = await buildProgram(context, [path[0]!]);
      const out: string[] = [];
      const err: string[] = [];
      const listen = (command: Command): void => {
        command.configureOutput({
          writeOut: (text) => void out.push(text),
          writeErr: (text) => void err.push(text),
        });
        for (const child of command.commands) listen(child);
      };
      listen(program);
      const name = path.join(' ');
      const wrong = program.parseAsync(['node', 'tidegate', ...path, '--no-such-option']);
      await expect(wrong, name).rejects.toBeInstanceOf(CommanderError);
      expect(out, name).toEqual([]);
      expect(err.join(''), name).toMatch(/^error: (unknown|required) option '-/);
    }
    const one = tidegate('plan', 'show', '--no-such-option');
    expect([one.status, one.stdout]).toEqual([2, '']);
    expect(one.stderr).toContain('unknown option');
  });

  test('that needs a gateway says so with a code and the next step, exit code 1', () => {
    for (const words of [['status'], ['query', 'SELECT 1'], ['cost', 'show']]) {
      const { status, stdout, stderr } = tidegate(...words);
      expect([words[0], status, stdout]).toEqual([words[0], 1, '']);
      expect(stderr).toMatch(/^TG_CLI_NO_GATEWAY: .+; start one with/);
    }
  }, 30_000);
});

describe('rows', () => {
  test('are the same in all formats', () => {
    const json = JSON.parse(tidegate('cost', 'prices', '--output', 'json').stdout) as {
      tariffs: { tariffId: string }[];
    };
    const csv = tidegate('cost', 'prices', '--output', 'csv').stdout.trim().split('\n');
    const table = tidegate('cost', 'prices').stdout.trim().split('\n');
    expect(csv[0]).toBe('tariff,per GB out,port $/h,more,as of,source');
    const ids = json.tariffs.map((t) => t.tariffId);
    expect(csv.slice(1).map((line) => line.split(',')[0])).toEqual(ids);
    expect(table.slice(1).map((line) => line.split(' ')[0])).toEqual(ids);
  });

  test('of a replay are one line of CSV a record, under names of IPFIX', () => {
    const file = join(directory, 'two.pcap');
    const frame = (sourcePort: number) => ({
      timeMs: Date.UTC(2026, 0, 2),
      bytes: ipv4Frame({
        protocol: 17,
        source: '192.0.2.1',
        destination: '198.51.100.7',
        sourcePort,
        destinationPort: 53,
        payload: 20,
      }),
    });
    writeFileSync(file, pcapFile([frame(1000), frame(2000)]));
    const [head, ...lines] = tidegate('replay', file, '--output', 'csv').stdout.trim().split('\n');
    const at = head!.split(',').indexOf('sourceTransportPort');
    expect(lines.map((line) => line.split(',')[at]).sort()).toEqual(['1000', '2000']);
    for (const line of lines) expect(line.split(',').length).toBe(head!.split(',').length);
  });
});

describe('a progress bar', () => {
  const lacksScript = spawnSync('script', ['--version']).error !== undefined;
  const skip = lacksScript ? 'needs script (Debian: bsdutils)' : undefined;
  // Two days at five minutes are enough for work that reports itself.
  const file = join(directory, 'series.csv');
  const csv = Array.from({ length: 24 * 40 }, (_, i) => `${i * 3600},${10 + Math.sin(i / 3.8)}`).join('\n');
  writeFileSync(file, `timestamp,value\n${csv}\n`);
  const words = `${process.execPath} ${main} forecast backtest ${file} --season 24 --horizon 24 --output json`;
  /** On a terminal of its own: what it shows there, and what it wrote to stdout. */
  const onTerminal = (command: string): { shown: string; written: string } => {
    const out = join(directory, 'out.json');
    const run = spawnSync('script', ['-qec', `${command} > ${out}`, '/dev/null'], { encoding: 'utf8' });
    return { shown: run.stdout, written: spawnSync('cat', [out], { encoding: 'utf8' }).stdout };
  };

  test.skipIf(skip !== undefined)(
    `shows on a terminal, on stderr only${skip ? ` (skipped: ${skip})` : ''}`,
    () => {
      const { shown, written } = onTerminal(words);
      expect(shown).toMatch(/backtest \[#*\.*\] \d+ %/);
      expect(JSON.parse(written)).toHaveProperty('series');
      expect(onTerminal(`${words} --no-progress`).shown).toBe('');
      expect(spawnSync('sh', ['-c', words], { encoding: 'utf8' }).stderr).toBe('');
    },
    30_000,
  );
});
