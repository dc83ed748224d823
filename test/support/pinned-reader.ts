import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';

/** A reader in a process of its own, and what it has printed as delivered. */
export class Reader {
  readonly child: ChildProcess;
  #ready = false;

  /** Adds to `delivered`: packets by batch id. A batch that is printed and not given back comes once more. */
  constructor(options: object, delivered: Map<string, number>) {
    this.child = spawn(
      process.execPath,
      [join(import.meta.dirname, '../capture/fixtures/pinned-reader.mjs'), JSON.stringify(options)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let rest = '';
    this.child.stdout!.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        if (line === 'ready') this.#ready = true;
        else {
          const [id = '', packets] = line.split(' ');
          expect(delivered.get(id) ?? Number(packets)).toBe(Number(packets));
          delivered.set(id, Number(packets));
        }
      }
    });
  }

  async ready(): Promise<void> {
    for (let i = 0; i < 500 && !this.#ready; i += 1) await sleep(20);
    expect(this.#ready).toBe(true);
  }

  /** SIGKILL, and everything it had printed before. */
  async kill(): Promise<void> {
    const closed = new Promise((resolve) => this.child.once('close', resolve));
    this.child.kill('SIGKILL');
    await closed;
  }
}
