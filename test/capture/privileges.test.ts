import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { CAPABILITY_NAMES, capabilitiesIn, capabilityMask } from '../../src/base/capabilities.js';
import { detachPinned } from '../../src/capture/bpf.js';
import { bpfSkipReason } from '../support/privileges.js';
import { VethPair, xdpInterfaces } from '../support/veth.js';

const cli = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'main.js');
const skip = bpfSkipReason();

test('capabilities have the numbers that the kernel gives them', () => {
  const header = '/usr/include/linux/capability.h';
  const numbers = [...readFileSync(header, 'utf8').matchAll(/^#define (CAP_[A-Z_]+)\s+(\d+)$/gm)].filter(
    ([, name]) => name !== 'CAP_LAST_CAP',
  );
  expect(numbers.length).toBeGreaterThan(35);
  for (const [, name, number] of numbers) expect(CAPABILITY_NAMES[Number(number)], number).toBe(name);
  expect(capabilitiesIn(capabilityMask(['CAP_BPF', 'CAP_CHOWN']).toString(16))).toEqual([
    'CAP_CHOWN',
    'CAP_BPF',
  ]);
});

/** What each thread of a process may do and could get: one line each. */
const threadsOf = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    const set = (name: string): string =>
      capabilitiesIn(new RegExp(`^${name}:\\s*(\\S+)$`, 'm').exec(status)?.[1] ?? '0').join(' ');
    return `permitted [${set('CapPrm')}] effective [${set('CapEff')}] bounding [${set('CapBnd')}] ambient [${set('CapAmb')}] ${/^NoNewPrivs:\s*\d/m.exec(status)?.[0].replace(/\s+/, ' ')}`;
  });

const childrenOf = (pid: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => {
      try {
        const stat = readFileSync(`/proc/${child}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
      } catch {
        return false;
      }
    });

describe.skipIf(skip !== undefined)(
  `a gateway that runs${skip === undefined ? '' : ` (skipped: ${skip})`}`,
  () => {
    const cleanups: (() => void)[] = [];
    afterEach(() => {
      for (const cleanup of cleanups.splice(0).reverse()) cleanup();
    });

    /** A gateway on a cable of its own. */
    async function gateway(
      tag: string,
      more: string,
    ): Promise<{ process: ChildProcess; pair: VethPair; report: () => string }> {
      const directory = mkdtempSync(join(tmpdir(), 'tidegate-privileges-'));
      const pair = new VethPair(tag);
      const file = join(directory, 'gateway.yaml');
      writeFileSync(
        file,
        `gateway: ${tag}${process.pid}\ndataDirectory: ${join(directory, 'data')}\napi: { listen: [] }\n` +
          `capture: { interfaces: [{ name: in, netns: ${pair.metered.netns} }], idleTimeout: 1s, activeTimeout: 1s }\n${more}`,
      );
      const child = spawn('node', [cli, 'run', '--config', file, '--output', 'json'], {
        env: { ...process.env, TIDEGATE_RUN_DIRECTORY: join(directory, 'run') },
      });
      let log = '';
      let report = '';
      child.stderr?.on('data', (chunk: Buffer) => {
        log += chunk;
      });
      child.stdout?.on('data', (chunk: Buffer) => {
        report += chunk;
      });
      cleanups.push(() => {
        child.kill('SIGKILL');
        detachPinned(`${tag}${process.pid}`);
        pair.remove();
        rmSync(directory, { recursive: true, force: true });
      });
      for (let i = 0; i < 300 && !/gateway running/.test(log); i += 1)
        await new Promise((resolve) => setTimeout(resolve, 100));
      expect(log).toMatch(/gateway running/);
      return { process: child, pair, report: () => report };
    }

    test('may nothing any more, in no thread and no child, and still meters, flushes and detaches', async () => {
      const { process: child, pair, report } = await gateway('priv', '');
      const nothing = 'permitted [] effective [] bounding [] ambient [] NoNewPrivs: 1';
      const pid = child.pid!;
      expect(threadsOf(pid).length).toBeGreaterThan(8);
      expect(new Set(threadsOf(pid))).toEqual(new Set([nothing]));
      const [engine] = childrenOf(pid);
      expect(new Set(threadsOf(engine!))).toEqual(new Set([nothing]));
      expect(xdpInterfaces(pair.far)).toEqual(['in']);
      pair.sendUdp(40, 50);
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGINT');
      expect(await ended).toBe(0);
      expect((JSON.parse(report()) as { packets: object }).packets).toMatchObject({
        seen: 2000,
        stored: 2000,
        lost: 0,
      });
      expect(xdpInterfaces(pair.far)).toEqual([]);
      expect(existsSync(`/sys/fs/bpf/tidegate/priv${process.pid}`)).toBe(false);
    });

    test('keeps what its actuators need, and its children no more than that', async () => {
      const { process: child } = await gateway(
        'keep',
        'actuate: { mode: approve, actuators: [htb, exec], exec: { command: [/bin/true], capabilities: [CAP_NET_RAW] } }\n',
      );
      const kept = 'CAP_NET_ADMIN CAP_NET_RAW';
      expect(new Set(threadsOf(child.pid!))).toEqual(
        new Set([`permitted [${kept}] effective [${kept}] bounding [${kept}] ambient [] NoNewPrivs: 1`]),
      );
    });
  },
);
