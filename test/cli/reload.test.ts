import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bpfSkipReason } from '../support/privileges.js';
import { VethPair } from '../support/veth.js';

const cli = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'main.js');
const skip = bpfSkipReason();

describe.skipIf(skip !== undefined)(`SIGHUP${skip === undefined ? '' : ` (skipped: ${skip})`}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidegate-reload-'));
  const file = join(directory, 'gateway.yaml');
  let pair: VethPair;
  let gateway: ChildProcess;
  let log = '';
  let report = '';

  const configure = (more: string): void =>
    writeFileSync(
      file,
      `gateway: reload${process.pid}\ndataDirectory: ${join(directory, 'data')}\n` +
        `capture: { interfaces: [{ name: ${pair.metered.name}, netns: ${pair.metered.netns} }], idleTimeout: 1s, activeTimeout: 1s }\n${more}`,
    );
  const logged = async (pattern: RegExp): Promise<void> => {
    for (let i = 0; i < 300 && !pattern.test(log); i += 1)
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(log).toMatch(pattern);
  };

  beforeAll(async () => {
    pair = new VethPair('hup');
    configure('api: { listen: [] }\n');
    gateway = spawn('node', [cli, 'run', '--config', file, '--output', 'json'], {
      env: { ...process.env, TIDEGATE_RUN_DIRECTORY: join(directory, 'run') },
    });
    gateway.stderr?.on('data', (chunk: Buffer) => {
      log += chunk;
    });
    gateway.stdout?.on('data', (chunk: Buffer) => {
      report += chunk;
    });
    await logged(/gateway running/);
  });
  afterAll(() => {
    gateway.kill('SIGKILL');
    pair.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  test('is obeyed while packets flow, and none of them is lost', async () => {
    const sent = 40 * 50;
    pair.sendUdp(40, 25);
    configure('api: { listen: ["127.0.0.1:0"] }\ncycle: { every: 1m }\nstore: { spoolLimit: 1GiB }\n');
    gateway.kill('SIGHUP');
    pair.sendUdp(40, 25);
    await logged(/configuration reloaded/);
    expect(log).toMatch(/"needRestart":\["store\.spoolLimit"\]/);
    expect(log).toMatch(/"reloaded":\["api\.listen","cycle\.every"\]/);
    configure('cycle: { every: yesterday }\n');
    gateway.kill('SIGHUP');
    await logged(/configuration not reloaded; nothing has changed/);
    const ended = new Promise((resolve) => gateway.once('exit', resolve));
    gateway.kill('SIGINT');
    expect(await ended).toBe(0);
    const { packets } = JSON.parse(report) as { packets: { seen: number; stored: number; lost: number } };
    expect(packets).toMatchObject({ seen: sent, stored: sent, lost: 0 });
  });
});
