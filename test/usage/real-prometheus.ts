import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../support/free-port.js';

/** Why tests that need Prometheus cannot run here; `undefined` when they can. */
export const noPrometheus: string | undefined = [
  '/usr/bin/prometheus',
  '/usr/bin/promtool',
  '/usr/bin/prometheus-node-exporter',
].some((file) => !existsSync(file))
  ? "Debian's prometheus and prometheus-node-exporter are not installed"
  : undefined;

export interface Sample {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly atMs: number;
  readonly value: number;
}

async function answers(url: string): Promise<void> {
  for (let i = 0; i < 300; i += 1) {
    try {
      if ((await fetch(url)).ok) return;
    } catch {
      // not up yet
    }
    await sleep(100);
  }
  throw new Error(`${url} did not come up`);
}

/** Debian's Prometheus on loopback, holding exactly the samples given, and scraping what it is told to. */
export class RealPrometheus {
  readonly #directory = mkdtempSync(join(tmpdir(), 'tidegate-prometheus-'));
  readonly #children: ChildProcess[] = [];
  url = '';

  async start(samples: readonly Sample[], scrapeExporter = false): Promise<void> {
    const port = await freePort();
    this.url = `http://127.0.0.1:${port}`;
    const data = join(this.#directory, 'data');
    if (samples.length > 0) {
      const file = join(this.#directory, 'samples.om');
      const text = [...samples]
        .sort((a, b) => a.atMs - b.atMs)
        .map(({ metric, labels, atMs, value }) => {
          const pairs = Object.entries(labels).map(([name, label]) => `${name}="${label}"`);
          return `${metric}{${pairs.join(',')}} ${value} ${(atMs / 1000).toFixed(3)}`;
        });
      writeFileSync(file, `${text.join('\n')}\n# EOF\n`);
      execFileSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', file, data], { stdio: 'pipe' });
    }
    const scrapes: string[] = [];
    if (scrapeExporter) {
      const exporterPort = await freePort();
      this.#spawn('prometheus-node-exporter', [`--web.listen-address=127.0.0.1:${exporterPort}`]);
      await answers(`http://127.0.0.1:${exporterPort}/metrics`);
      scrapes.push(`  - job_name: node\n    static_configs: [{targets: ["127.0.0.1:${exporterPort}"]}]`);
    }
    const config = join(this.#directory, 'prometheus.yml');
    writeFileSync(
      config,
      `global: {scrape_interval: 1s}\n${scrapes.length > 0 ? `scrape_configs:\n${scrapes.join('\n')}\n` : ''}`,
    );
    this.#spawn('prometheus', [
      `--config.file=${config}`,
      `--storage.tsdb.path=${data}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]);
    await answers(`${this.url}/-/ready`);
  }

  async stop(): Promise<void> {
    for (const child of this.#children.splice(0)) {
      if (child.exitCode !== null) continue;
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #spawn(program: string, args: readonly string[]): void {
    this.#children.push(spawn(program, [...args], { stdio: 'ignore' }));
  }
}
