import { type FileHandle, mkdir, open, readFile, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import { actuateError } from './errors.js';
import type { Journal, JournalEntry, JournalMirror } from './journal.js';

/**
 * The journal on disk: one JSON object a line, written and synced before `append` resolves, because what is applied
 * must be undoable after a crash. A last line that a crash cut off is dropped on opening: its step was not begun.
 * The mirror gets a copy; it may be away, which is logged and retried with the next entry.
 */
export class FileJournal implements Journal {
  readonly #file: string;
  readonly #mirror: JournalMirror | undefined;
  readonly #logger: Logger | undefined;
  #handle: FileHandle | undefined;
  #entries: JournalEntry[] = [];
  #unmirrored: JournalEntry[] = [];
  #queue: Promise<void> = Promise.resolve();

  constructor(file: string, mirror?: JournalMirror, logger?: Logger) {
    this.#file = file;
    this.#mirror = mirror;
    this.#logger = logger;
  }

  /** @throws TG_ACTUATE_JOURNAL */
  async open(): Promise<void> {
    try {
      await mkdir(dirname(this.#file), { recursive: true });
      const text = await readFile(this.#file, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return '';
        throw error;
      });
      const whole = text.slice(0, text.lastIndexOf('\n') + 1);
      if (whole.length < text.length) await truncate(this.#file, Buffer.byteLength(whole));
      this.#entries = whole
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as JournalEntry);
      this.#handle = await open(this.#file, 'a');
    } catch (cause) {
      throw this.#error('opened', cause);
    }
  }

  append(entry: JournalEntry): Promise<void> {
    const written = this.#queue.then(() => this.#write(entry));
    this.#queue = written.catch(() => undefined);
    return written;
  }

  async entries(): Promise<readonly JournalEntry[]> {
    await this.#queue;
    return [...this.#entries];
  }

  async close(): Promise<void> {
    await this.#queue;
    await this.#handle?.close();
    this.#handle = undefined;
  }

  async #write(entry: JournalEntry): Promise<void> {
    try {
      if (this.#handle === undefined) throw new Error('it is not open');
      await this.#handle.appendFile(`${JSON.stringify(entry)}\n`);
      await this.#handle.datasync();
    } catch (cause) {
      throw this.#error('written', cause);
    }
    this.#entries.push(entry);
    if (this.#mirror === undefined) return;
    this.#unmirrored.push(entry);
    const pending = this.#unmirrored;
    this.#unmirrored = [];
    this.#copy(this.#mirror, pending).catch((error: unknown) => {
      this.#unmirrored = [...pending, ...this.#unmirrored];
      this.#logger?.warn(
        { err: error, entries: pending.length },
        'journal not copied, will be with the next entry',
      );
    });
  }

  async #copy(mirror: JournalMirror, pending: JournalEntry[]): Promise<void> {
    while (pending[0] !== undefined) {
      await mirror.append(pending[0]);
      pending.shift();
    }
  }

  #error(action: string, cause: unknown) {
    return actuateError('TG_ACTUATE_JOURNAL', { file: this.#file, action, reason: messageOf(cause) }, cause);
  }
}
