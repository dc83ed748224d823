import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = join(import.meta.dirname, '..', '..');
const START_MS = 180_000;

/** `tidegate lab` in a process of its own, with its API on a free port. */
export class RunningLab {
  readonly #directory = mkdtempSync(join(tmpdir(), 'tidegate-console-'));
  readonly #name: string;
  #child: ChildProcess | undefined;
  #stderr = '';
  url = '';

  constructor(name: string) {
    this.#name = name;
  }

  async start(): Promise<void> {
    const run = join(this.#directory, 'run');
    const child = spawn(
      process.execPath,
      [
        join(root, 'dist/cli/main.js'),
        'lab',
        '--name',
        this.#name,
        '--data-directory',
        join(this.#directory, 'data'),
        '--output',
        'json',
      ],
      {
        env: {
          ...process.env,
          TIDEGATE_RUN_DIRECTORY: run,
          TIDEGATE_API_LISTEN: '["127.0.0.1:0"]',
        },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr += chunk;
    });
    this.#child = child;
    const file = join(run, `${this.#name}.json`);
    for (const until = Date.now() + START_MS; Date.now() < until; await sleep(100)) {
      if (child.exitCode !== null) throw new Error(`the lab ended: ${this.#stderr}`);
      if (!existsSync(file)) continue;
      const { api } = JSON.parse(readFileSync(file, 'utf8')) as { api: { urls: readonly string[] } };
      if (api.urls[0] === undefined) throw new Error(`the lab has no API: ${this.#stderr}`);
      this.url = api.urls[0];
      return;
    }
    throw new Error(`the lab did not come up: ${this.#stderr}`);
  }

  /** Where commands of this user find the lab. */
  get environment(): Readonly<Record<string, string>> {
    return { TIDEGATE_RUN_DIRECTORY: join(this.#directory, 'run') };
  }

  /** Asks the API until the answer is as wanted. */
  async until<T>(path: string, wanted: (answer: T) => boolean, forMs = 180_000): Promise<T> {
    let last: unknown;
    for (const end = Date.now() + forMs; Date.now() < end; await sleep(500)) {
      const response = await fetch(`${this.url}${path}`);
      last = await response.json();
      if (response.ok && wanted(last as T)) return last as T;
    }
    throw new Error(`${path} did not become as wanted: ${JSON.stringify(last).slice(0, 500)}`);
  }

  async stop(): Promise<void> {
    if (this.#child && this.#child.exitCode === null) {
      this.#child.kill('SIGINT');
      await once(this.#child, 'exit');
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
