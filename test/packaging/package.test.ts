import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { bpfSkipReason } from '../support/privileges.js';

const root = join(import.meta.dirname, '..', '..');
const built = join(root, 'build', 'package');
const deb = existsSync(built) ? readdirSync(built).find((name) => name.endsWith('.deb')) : undefined;
const skip =
  deb === undefined
    ? 'needs the package: run make test-package'
    : process.getuid?.() !== 0
      ? 'needs root'
      : undefined;
const noBpf = bpfSkipReason();

describe.skipIf(skip !== undefined)(
  `the Debian package${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const host = mkdtempSync(join(tmpdir(), 'tidegate-root-'));
    const inHost = (path: string): string => join(host, path);
    const dpkg = (...options: string[]): string =>
      execFileSync('dpkg', [`--root=${host}`, '--force-script-chrootless', '--force-depends', ...options], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    const tidegate = (...words: string[]) =>
      spawnSync(inHost('usr/bin/tidegate'), words, {
        encoding: 'utf8',
        env: { ...process.env, TIDEGATE_RUN_DIRECTORY: inHost('run/tidegate') },
      });
    afterAll(() => rmSync(host, { recursive: true, force: true }));

    test('is installed in a root of its own', () => {
      mkdirSync(inHost('var/lib/dpkg/info'), { recursive: true });
      mkdirSync(inHost('var/lib/dpkg/updates'), { recursive: true });
      writeFileSync(inHost('var/lib/dpkg/status'), '');
      dpkg('--install', join(built, deb ?? ''));
      expect(dpkg('--status', 'tidegate')).toMatch(/^Status: install ok installed$/m);
      for (const path of [
        'usr/lib/systemd/system/tidegate.service',
        'usr/lib/sysusers.d/tidegate.conf',
        'usr/share/bash-completion/completions/tidegate',
        'usr/share/tidegate/gateway.schema.json',
        'etc/tidegate/gateway.yaml',
      ])
        expect(existsSync(inHost(path)), path).toBe(true);
      const page = gunzipSync(readFileSync(inHost('usr/share/man/man1/tidegate-plan-show.1.gz'))).toString(
        'utf8',
      );
      expect(page).toContain('.TH TIDEGATE\\-PLAN\\-SHOW 1');
      expect(statSync(inHost('etc/tidegate/gateway.yaml')).uid).toBe(0);
    });

    test('runs from there: its version, its configuration, a capture file, the datapath', () => {
      const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
      expect(tidegate('--version').stdout.trim()).toBe(version);
      expect(tidegate('config', 'check', inHost('etc/tidegate/gateway.yaml')).status).toBe(0);
      const capture = inHost('empty.pcap');
      const header = Buffer.alloc(24);
      header.writeUInt32LE(0xa1b2c3d4, 0);
      header.writeUInt16LE(2, 4);
      header.writeUInt16LE(4, 6);
      header.writeUInt32LE(65_535, 16);
      header.writeUInt32LE(1, 20);
      writeFileSync(capture, header);
      const replay = tidegate('replay', '--output', 'none', capture);
      expect(replay.status, replay.stderr).toBe(0);
      expect(JSON.parse(replay.stderr.trim())).toMatchObject({ packetsRead: 0 });
    });

    test.skipIf(noBpf !== undefined)(
      `its doctor finds all its parts${noBpf ? ` (skipped: ${noBpf})` : ''}`,
      () => {
        const run = tidegate('doctor', '--output', 'json', '--data-directory', inHost('var/lib/tidegate'));
        const findings = JSON.parse(run.stdout) as { id: string; result: string; words: string }[];
        const of = (id: string): string | undefined => findings.find((f) => f.id === id)?.result;
        expect(findings.filter((f) => f.result === 'blocker')).toEqual([]);
        expect([of('K-LOAD'), of('M-ONNX'), of('S-STORE'), of('P-BOOK')]).toEqual(['ok', 'ok', 'ok', 'ok']);
      },
    );

    test('is removed with everything it brought, its configuration last', () => {
      dpkg('--remove', 'tidegate');
      expect(existsSync(inHost('usr/bin/tidegate'))).toBe(false);
      expect(existsSync(inHost('etc/tidegate/gateway.yaml'))).toBe(true);
      dpkg('--purge', 'tidegate');
      expect(existsSync(inHost('etc/tidegate'))).toBe(false);
      expect(existsSync(inHost('usr/lib/tidegate'))).toBe(false);
      expect(readdirSync(inHost('var/lib/dpkg/info')).filter((name) => name.startsWith('tidegate'))).toEqual(
        [],
      );
    });
  },
);
