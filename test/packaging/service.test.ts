import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, describe, expect, test } from 'vitest';
import type { Capability } from '../../src/base/capabilities.js';
import { Supervisor } from '../../src/cli/supervisor.js';
import { keptCapabilities } from '../../src/config/kept-capabilities.js';
import { gatewayConfig } from '../../src/config/schema.js';
import { missingCapabilities } from '../../src/doctor/kernel.js';

const root = join(import.meta.dirname, '..', '..');
const cli = join(root, 'dist', 'cli', 'main.js');
const unit = readFileSync(join(root, 'deploy', 'systemd', 'tidegate.service'), 'utf8');
const directory = mkdtempSync(join(tmpdir(), 'tidegate-service-'));
const lacks = (tool: string, of: string): string | undefined =>
  spawnSync(tool, ['--version']).error === undefined ? undefined : `needs ${tool} (Debian package ${of})`;
const noAnalyze = lacks('systemd-analyze', 'systemd');
const noNotify = lacks('systemd-notify', 'systemd');
const label = (reason: string | undefined): string => (reason === undefined ? '' : ` (skipped: ${reason})`);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('the systemd unit', () => {
  test.skipIf(noAnalyze !== undefined)(`is understood by systemd, and hardened${label(noAnalyze)}`, () => {
    // Commands that exist here instead of those that the package brings; nothing else is changed.
    const here = join(directory, 'tidegate.service');
    writeFileSync(
      here,
      unit.replaceAll('/usr/bin/tidegate', '/bin/true').replace(/^Documentation=.*\n/m, ''),
    );
    const verified = spawnSync('systemd-analyze', ['verify', '--man=no', here], { encoding: 'utf8' });
    expect(verified.stderr).toBe('');
    expect(verified.status).toBe(0);
    const text = execFileSync('systemd-analyze', ['security', '--offline=true', here], { encoding: 'utf8' });
    const exposure = Number(/Overall exposure level for tidegate\.service: ([\d.]+)/.exec(text)?.[1]);
    expect(exposure).toBeLessThan(3);
  });

  test('calls commands that exist with options that they have', () => {
    for (const [, line] of unit.matchAll(/^Exec(?:Start|StartPre)=\/usr\/bin\/tidegate (.+)$/gm)) {
      const words = line!.split(' ');
      const help = spawnSync('node', [cli, words[0]!, '--help'], { encoding: 'utf8' });
      expect(help.status).toBe(0);
      for (const option of words.filter((word) => word.startsWith('--')))
        expect(help.stdout).toContain(option);
    }
  });

  test('has what a gateway needs to attach, and what any of its own actuators needs later, and no more', () => {
    const granted = /^AmbientCapabilities=(.+)$/m.exec(unit)![1]!.split(' ').sort();
    expect(/^CapabilityBoundingSet=(.+)$/m.exec(unit)![1]!.split(' ').sort()).toEqual(granted);
    expect(missingCapabilities(granted as Capability[])).toEqual([]);
    expect(missingCapabilities([])).toEqual(expect.arrayContaining(granted));
    const config = gatewayConfig.parse({
      dataDirectory: directory,
      actuate: { actuators: ['dry-run', 'steer', 'route', 'htb'] },
    });
    expect(granted).toEqual(expect.arrayContaining([...keptCapabilities(config).keys()]));
    expect([...keptCapabilities(gatewayConfig.parse({ dataDirectory: directory })).keys()]).toEqual([]);
  });

  test.skipIf(noNotify !== undefined)(
    `is told when the gateway is ready, alive and stopping${label(noNotify)}`,
    async () => {
      const socket = join(directory, 'notify.sock');
      // Node has no Unix datagram sockets, so Python listens in systemd's place.
      const listener = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); s.settimeout(20)
print('listening', flush=True)
while True:
    text = s.recv(4096).decode(); print(text, flush=True)
    if 'STOPPING=1' in text: break
`;
      const child = spawn('python3', ['-c', listener, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
      let heard = '';
      child.stdout.on('data', (chunk: Buffer) => {
        heard += chunk;
      });
      const until = async (pattern: RegExp): Promise<void> => {
        for (let i = 0; i < 200 && !pattern.test(heard); i += 1)
          await new Promise((resolve) => setTimeout(resolve, 50));
        expect(heard).toMatch(pattern);
      };
      await until(/listening/);
      const before = process.env.NOTIFY_SOCKET;
      process.env.NOTIFY_SOCKET = socket;
      const supervisor = new Supervisor(pino({ level: 'silent' }), {
        NOTIFY_SOCKET: socket,
        WATCHDOG_USEC: '200000',
      });
      supervisor.ready('metering as edge', () => true);
      await until(/READY=1[\s\S]*WATCHDOG=1/);
      expect(heard).toContain('STATUS=metering as edge');
      supervisor.stopping();
      await until(/STOPPING=1/);
      if (before === undefined) delete process.env.NOTIFY_SOCKET;
      else process.env.NOTIFY_SOCKET = before;
    },
  );
});

describe('completion and man pages', () => {
  const completion = (shell: string): string =>
    execFileSync('node', [cli, 'completion', shell], { encoding: 'utf8' });

  test('bash completes commands, subcommands, options and their values', () => {
    const script = join(directory, 'completion.bash');
    writeFileSync(script, completion('bash'));
    const complete = (...words: string[]): string[] =>
      execFileSync(
        'bash',
        [
          '-c',
          `source ${script}; COMP_WORDS=(tidegate ${words.map((w) => `'${w}'`).join(' ')}); COMP_CWORD=${words.length}; _tidegate; printf '%s\\n' "\${COMPREPLY[@]}"`,
        ],
        { encoding: 'utf8' },
      )
        .trim()
        .split('\n');
    expect(complete('pl')).toEqual(['plan']);
    expect(complete('plan', 'sh')).toEqual(['show']);
    expect(complete('doctor', '--q')).toEqual(['--quiet']);
    expect(complete('plan', 'history', '--output', '')).toEqual(['table', 'json', 'csv']);
  });

  test('every command has a man page that says what its help says', () => {
    const pages = join(directory, 'man');
    execFileSync('node', [cli, 'completion', 'fish', '--man', pages]);
    const page = readFileSync(join(pages, 'tidegate-replay.1'), 'utf8');
    expect(page).toMatch(/^\.TH TIDEGATE\\-REPLAY 1/);
    expect(page).toContain('\\-\\-active\\-timeout');
    expect(readFileSync(join(pages, 'tidegate.1'), 'utf8')).toContain('.B doctor');
  });
});
