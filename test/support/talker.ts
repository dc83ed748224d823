import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';

/** A process in a network namespace that serves or opens TCP connections as the test says; see fixtures/talker.mjs. */
export class Talker {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (value: unknown) => void>();
  #next = 0;

  /** @param localAddress source address of its connections */
  constructor(
    netns: string,
    readonly localAddress?: string,
  ) {
    this.#child = fork(join(import.meta.dirname, '..', 'actuate', 'fixtures', 'talker.mjs'), [], {
      execPath: 'nsenter',
      execArgv: [`--net=${netns}`, process.execPath],
    });
    this.#child.on('message', (message: { id: number; value: unknown }) => {
      this.#waiting.get(message.id)?.(message.value);
      this.#waiting.delete(message.id);
    });
  }

  serve(host: string, port: number, name: string): Promise<unknown> {
    return this.#ask({ action: 'serve', host, port, name });
  }

  open(from: string, host: string, port: number, count: number): Promise<string[]> {
    return this.#ask({ action: 'open', host, port, count, from, localAddress: this.localAddress }) as Promise<
      string[]
    >;
  }

  echo(from: string, octets = 1000): Promise<number> {
    return this.#ask({ action: 'echo', from, octets }) as Promise<number>;
  }

  until(host: string, port: number, name: string, limitMs = 5000): Promise<number | null> {
    return this.#ask({
      action: 'until',
      host,
      port,
      name,
      limitMs,
      localAddress: this.localAddress,
    }) as Promise<number | null>;
  }

  close(from: string): Promise<unknown> {
    return this.#ask({ action: 'close', from });
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.connected) this.#child.disconnect();
    await gone;
  }

  #ask(message: Record<string, unknown>): Promise<unknown> {
    this.#next += 1;
    const id = this.#next;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.send({ id, ...message });
    });
  }
}
