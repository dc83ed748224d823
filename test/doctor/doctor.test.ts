import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { capabilitiesIn } from '../../src/base/capabilities.js';
import { missingCapabilities } from '../../src/doctor/kernel.js';
import { DirectoryLock } from '../../src/store/directory-lock.js';
import { bpfSkipReason } from '../support/privileges.js';

const cli = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'main.js');
const directory = mkdtempSync(join(tmpdir(), 'tidegate-doctor-'));
const skip = bpfSkipReason();

interface Finding {
  readonly id: string;
  readonly result: string;
  readonly words: string;
  readonly remedy: string;
}

function doctor(...options: string[]): { status: number | null; findings: Finding[] } {
  const run = spawnSync('node', [cli, 'doctor', '--output', 'json', ...options], {
    encoding: 'utf8',
    env: { ...process.env, TIDEGATE_RUN_DIRECTORY: join(directory, 'run') },
  });
  return { status: run.status, findings: JSON.parse(run.stdout) as Finding[] };
}

describe('the doctor', () => {
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test('names the capabilities that are missing, and knows that CAP_SYS_ADMIN covers two', () => {
    const held = (...numbers: number[]) =>
      capabilitiesIn(numbers.reduce((mask, n) => mask | (1n << BigInt(n)), 0n).toString(16));
    expect(missingCapabilities(capabilitiesIn('000001ffffffffff'))).toEqual([]);
    expect(missingCapabilities([])).toEqual(['CAP_BPF', 'CAP_NET_ADMIN', 'CAP_PERFMON']);
    expect(missingCapabilities(held(21, 12))).toEqual([]);
    expect(missingCapabilities(held(21))).toEqual(['CAP_NET_ADMIN']);
    expect(missingCapabilities(held(39, 38, 12))).toEqual([]);
  });

  test.skipIf(skip !== undefined)(
    `finds a host where a gateway can run, by running it, and leaves nothing behind${skip ? ` (skipped: ${skip})` : ''}`,
    () => {
      const data = join(directory, 'some', 'where');
      const { status, findings } = doctor('--interface', 'lo', '--data-directory', data);
      expect(findings.filter((f) => f.result === 'blocker')).toEqual([]);
      expect(status).toBe(0);
      // Ids are a promise to scripts: one may be added, none may go or change.
      expect(findings.map((f) => f.id)).toEqual([
        'K-BTF', 'K-RT', 'K-JIT', 'C-CAP', 'C-MEM', 'F-BPFFS', 'K-LOAD', 'K-XDP', 'H-HUGE',
        'N-DRV', 'N-XDP', 'N-MTU', 'N-CONF', 'N-RSS', 'N-SYM', 'N-RULE', 'N-OFF', 'N-IRQ', 'A-TC', 'A-TC',
        'S-DISK', 'S-LOCK', 'S-RUN', 'S-STORE', 'M-ONNX', 'P-BOOK', 'T-CLK',
      ]); // biome-ignore format: by room
      expect(existsSync(join(directory, 'some'))).toBe(false);
      const words = (id: string): string => findings.find((f) => f.id === id)?.words ?? '';
      expect(words('K-XDP')).toMatch(/native XDP works/);
      // The loopback device has no native XDP, and the kernel says so.
      expect(words('N-XDP')).toMatch(/has no native XDP/);
      expect(readdirSync('/sys/class/net').filter((name) => name.startsWith('tgdoc'))).toEqual([]);
      expect(readdirSync('/sys/fs/bpf').filter((name) => name.includes('doctor'))).toEqual([]);
    },
  );

  test('exits with 3 and says what to do when something is in the way', () => {
    const data = join(directory, 'taken');
    const lock = new DirectoryLock(join(data, 'gateway.lock'));
    lock.acquire();
    const model = join(directory, 'model.onnx');
    writeFileSync(model, 'no model');
    const file = join(directory, 'gateway.yaml');
    writeFileSync(
      file,
      `dataDirectory: ${data}\nfingerprint: { model: ${model} }\ncapture: { interfaces: [{ name: nosuch0 }] }\n`,
    );
    const { status, findings } = doctor('--config', file);
    lock.release();
    expect(status).toBe(3);
    const blockers = findings.filter((f) => f.result === 'blocker');
    expect(blockers.map((f) => f.id)).toEqual(expect.arrayContaining(['N-DRV', 'S-LOCK', 'M-ONNX']));
    for (const finding of findings.filter((f) => !['ok', 'info'].includes(f.result)))
      expect(finding.remedy, finding.id).not.toBe('');
    expect(blockers.find((f) => f.id === 'S-LOCK')?.words).toContain(String(process.pid));
  });
});
