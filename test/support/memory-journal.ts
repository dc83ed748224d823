import type { Journal, JournalEntry } from '../../src/actuate/index.js';

/** A journal that forgets with the process; can be told to crash before or after an entry. */
export class MemoryJournal implements Journal {
  readonly all: JournalEntry[] = [];
  /** Throws instead of writing the n-th entry (0 = the first): the process died just before it. */
  crashAt = Number.POSITIVE_INFINITY;

  async append(entry: JournalEntry): Promise<void> {
    if (this.all.length >= this.crashAt) throw new Error('crashed');
    this.all.push(entry);
  }

  async entries(): Promise<readonly JournalEntry[]> {
    return [...this.all];
  }
}
