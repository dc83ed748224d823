import type { JsonValue } from './actuator.js';

export type JournalEvent = 'intent' | 'applied' | 'failed' | 'rollback-intent' | 'rolled-back' | 'committed';

/** One line of the journal: who meant to do or did what, for which plan. */
export interface JournalEntry {
  readonly atMs: number;
  readonly planId: string;
  readonly actuator: string;
  /** Step id; empty for entries about a whole plan (`committed`). */
  readonly stepId: string;
  readonly event: JournalEvent;
  readonly before: JsonValue;
  readonly after: JsonValue;
  readonly words: string;
}

/** Append-only. `append` resolves when the entry would survive a crash of the process. */
export interface Journal {
  append(entry: JournalEntry): Promise<void>;
  /** Every entry so far, oldest first. */
  entries(): Promise<readonly JournalEntry[]>;
}

/** A place that keeps a copy of the journal, such as ClickHouse's `actuations` table. */
export interface JournalMirror {
  append(entry: JournalEntry): Promise<void>;
}
